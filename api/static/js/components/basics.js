/** Small parts that every page uses. */

import { h } from "../core/dom.js";
import { stateLook, words } from "../core/names.js";
import { icon } from "./icons.js";

/** A button with a drawing. `text` is its name, also where only the drawing shows (`square`). */
export function button(text, { picture, look = "", square = false, ...attributes } = {}) {
  return h(
    "button",
    { type: "button", class: `button ${look} ${square ? "square" : ""}`, "aria-label": square && text, title: square && text, ...attributes },
    picture && icon(picture),
    !square && text,
  );
}

/** The parts of a text in which `commands` stand between backticks. */
export const said = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));

export function badge(text, look = "") {
  return h("span", { class: `badge ${look}` }, text);
}

export const stateBadge = (state) => badge(words(state), stateLook(state));

/** Says that there is nothing, and what to do about it. */
export function empty(picture, title, text, ...actions) {
  return h("div", { class: "empty" }, icon(picture), h("h2", {}, title), text && h("p", {}, text), actions.length > 0 && h("div", { class: "buttons" }, actions));
}

export function note(text, look = "", ...more) {
  return h("div", { class: `note ${look}` }, icon(look === "" ? "info" : "warn"), h("div", {}, text, more));
}

/** Says what went wrong, and offers to try again. */
export function failure(error, again) {
  return h("div", { role: "alert" }, note(said(error.message), "bad", again && h("p", {}, button("Try again", { picture: "retry", look: "bare", onclick: again }))));
}

let fields = 0;

/** An input with its label. */
export function field(label, input, hint) {
  fields += 1;
  input.id ||= `field-${fields}`;
  if (hint) input.setAttribute("aria-describedby", `${input.id}-hint`);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, hint && h("span", { class: "hint", id: `${input.id}-hint` }, hint));
}

export function check(label, attributes = {}) {
  const input = h("input", { type: "checkbox", ...attributes });
  return { input, element: h("label", { class: "check" }, input, label) };
}

export function select(options, value, attributes = {}) {
  const element = h("select", { class: "input", ...attributes }, options.map(([key, text]) => h("option", { value: key }, text)));
  element.value = value;
  return element;
}

/** Buttons of which one is pressed; `onchoose` gets its key. */
export function tabs(label, options, chosen, onchoose) {
  return h(
    "div",
    { class: "tabs", role: "group", "aria-label": label },
    options.map(([key, text, number]) =>
      h("button", { type: "button", "aria-pressed": String(key === chosen), onclick: () => onchoose(key) }, text, number !== undefined && h("span", { class: "n" }, number)),
    ),
  );
}

/** A table; on a phone each row is a block of its own. `columns`: [name, class]. More rows come by `addRows`. */
export function table(caption, columns, rows) {
  const element = h(
    "div",
    { class: "table-wrap", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden-text" }, caption),
      h("thead", {}, h("tr", {}, columns.map(([name, look]) => h("th", { scope: "col", class: look }, name)))),
      h("tbody"),
    ),
  );
  addRows(element, rows);
  return element;
}

export function addRows(element, rows) {
  nameCells(element, rows);
  element.querySelector("tbody").append(...rows);
}

export function replaceRow(element, before, row) {
  nameCells(element, [row]);
  before.replaceWith(row);
}

function nameCells(element, rows) {
  const names = [...element.querySelectorAll("th")].map((cell) => cell.textContent);
  for (const row of rows) [...row.children].forEach((cell, index) => (cell.dataset.name = names[index]));
}

export function pageHead(title, lead, ...actions) {
  return h("div", { class: "page-head" }, h("h1", {}, title), actions.length > 0 && h("div", { class: "buttons" }, actions), lead && h("p", { class: "lead" }, lead));
}
