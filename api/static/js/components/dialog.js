/** Windows over the page. The browser keeps the keyboard inside, and Escape closes them. */

import { fill, h } from "../core/dom.js";
import { button } from "./basics.js";

const open = new Set();

/** Closes all of them: what they ask for is called off. */
export const closeAll = () => open.forEach((dialog) => dialog.close());

/** Shows a dialog and returns it; it is gone from the page when it closes. */
export function show(title, content, { wide = false, onclose } = {}) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const dialog = h("dialog", { class: `dialog ${wide ? "wide" : ""}`, "aria-labelledby": "dialog-title" });
  const close = button("Close", { picture: "close", look: "bare", square: true, onclick: () => dialog.close() });
  fill(dialog, h("div", { class: "body" }, h("div", { class: "row between" }, h("div", { class: "grow" }, heading), close), content));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    open.delete(dialog);
    dialog.remove();
    onclose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  open.add(dialog);
  return dialog;
}

/** Asks before something is done; true for yes. */
export function ask(title, text, action, { danger = false } = {}) {
  return new Promise((resolve) => {
    let yes = false;
    const no = button("Cancel", { onclick: () => dialog.close() });
    const go = button(action, {
      look: danger ? "main danger" : "main",
      onclick: () => {
        yes = true;
        dialog.close();
      },
    });
    const dialog = show(title, [h("p", {}, text), h("div", { class: "buttons end" }, no, go)], { onclose: () => resolve(yes) });
    no.focus();
  });
}

/** Asks for a line of text; null where it is called off. */
export function askText(title, label, action, { value = "", hint, pattern } = {}) {
  return new Promise((resolve) => {
    let answer = null;
    const input = h("input", { class: "input", id: "asked", required: true, value, pattern, autocomplete: "off", spellcheck: "false", "aria-describedby": hint && "asked-hint" });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          answer = input.value.trim();
          dialog.close();
        },
      },
      h("div", { class: "field" }, h("label", { for: "asked" }, label), input, hint && h("span", { class: "hint", id: "asked-hint" }, hint)),
      h("p", {}),
      h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), h("button", { class: "button main" }, action)),
    );
    const dialog = show(title, form, { onclose: () => resolve(answer) });
    input.focus();
    input.select();
  });
}
