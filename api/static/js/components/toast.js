/** Short messages that come and go; screen readers say them. */

import { h } from "../core/dom.js";
import { button } from "./basics.js";

const SHOWN_MS = 6000;
const calm = document.querySelector(".toasts");
const urgent = document.querySelector(".toasts-urgent");

/** Says what was done. `action`: [text, call] offers one thing to do about it, such as an undo. */
export function toast(text, action) {
  add(calm, h("div", { class: "toast" }, h("span", {}, text), action && button(action[0], { look: "bare", onclick: action[1] })), action ? 2 : 1);
}

/** Says what went wrong. A request that was called off is no news. */
export function toastError(error) {
  if (error.name === "AbortError") return;
  add(urgent, h("div", { class: "toast bad" }, h("span", {}, error.message)), 2);
}

/** Runs something that a person asked for, and says when it fails; the button is not to be pressed twice. */
export function attempt(call) {
  return async (event) => {
    const pressed = event?.currentTarget;
    if (pressed) pressed.disabled = true;
    try {
      return await call(event);
    } catch (error) {
      toastError(error);
      return undefined;
    } finally {
      if (pressed) pressed.disabled = false;
    }
  };
}

function add(place, element, times) {
  const close = button("Dismiss", { picture: "close", look: "bare", square: true, onclick: () => element.remove() });
  element.append(close);
  // A dialog lies above everything but what is in it.
  const above = [...document.querySelectorAll("dialog[open]")].at(-1) || document.body;
  if (place.parentElement !== above) above.append(place);
  place.append(element);
  setTimeout(() => element.remove(), SHOWN_MS * times);
}
