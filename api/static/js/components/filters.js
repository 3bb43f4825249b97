/** What the gallery is narrowed by. All of it stands in the address: from, to, camera, caption, and the sides of a box. */

import { fill, h } from "../core/dom.js";
import { plural } from "../core/format.js";
import { button, field } from "./basics.js";
import { show } from "./dialog.js";
import { icon } from "./icons.js";
import { mapToChoose } from "./map.js";

const SIDES = ["north", "south", "west", "east"];

/** The filters as the service wants them. */
export function filtersOf(query) {
  const filters = {};
  if (query.from || query.to) {
    filters.taken_at = {};
    if (query.from) filters.taken_at.gte = query.from;
    if (query.to) filters.taken_at.lte = query.to;
  }
  if (query.camera) filters.camera_model = query.camera;
  if (query.caption) filters.caption = query.caption;
  const box = boxOf(query.box);
  if (box) filters.gps = box;
  return filters;
}

/** What is chosen, each with a way to take it back. */
export function chips(query, change) {
  const chosen = [
    query.from && [`From ${query.from}`, { from: "" }],
    query.to && [`Until ${query.to}`, { to: "" }],
    query.camera && [query.camera, { camera: "" }],
    query.caption && [`Caption: ${query.caption}`, { caption: "" }],
    boxOf(query.box) && ["Place", { box: "" }],
  ].filter(Boolean);
  return chosen.map(([text, without]) => {
    const label = `Remove filter ${text}`;
    return h("span", { class: "chip" }, h("span", {}, text), h("button", { type: "button", "aria-label": label, title: label, onclick: () => change(without) }, icon("close")));
  });
}

/** The inputs. What `cameras` promises is offered when it is there; any other may be typed. */
export function filterPanel(query, change, cameras) {
  const offered = h("datalist", { id: "cameras" });
  // Without them a name can be typed all the same; a service that does not answer shows in the grid.
  cameras().then((values) => fill(offered, values.map(({ value, images }) => h("option", { value }, plural(images, "picture")))), () => {});
  const day = (name, label) => field(label, h("input", { class: "input", type: "date", value: query[name] || "", oninput: (event) => change({ [name]: event.target.value }) }));
  return h(
    "div",
    { class: "filters", role: "group", "aria-label": "Filters" },
    day("from", "Taken from"),
    day("to", "Taken until"),
    field("Camera", h("input", { class: "input", list: "cameras", value: query.camera || "", placeholder: "Any", oninput: (event) => change({ camera: event.target.value.trim() }) })),
    offered,
    field("Words in the caption", h("input", { class: "input", value: query.caption || "", placeholder: "Any", oninput: (event) => change({ caption: event.target.value.trim() }) })),
    h("div", { class: "field" }, h("span", { class: "label" }, "Place"), button(query.box ? "Change the box" : "Choose on a map", { onclick: () => choosePlace(boxOf(query.box), change) })),
  );
}

function choosePlace(before, change) {
  const inputs = SIDES.map((side) => h("input", { class: "input", type: "number", step: "any", required: true, min: side === "north" || side === "south" ? -90 : -180, max: side === "north" || side === "south" ? 90 : 180, value: before?.[side] ?? "", oninput: typed }));
  const typedBox = () => Object.fromEntries(SIDES.map((side, index) => [side, inputs[index].valueAsNumber]));
  const map = mapToChoose(before, (box) => SIDES.forEach((side, index) => (inputs[index].value = box[side])));
  function typed() {
    if (inputs.every((input) => input.validity.valid)) map.draw(typedBox());
  }
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        change({ box: SIDES.map((side) => typedBox()[side]).join(",") });
        dialog.close();
      },
    },
    map.element,
    h("div", { class: "filters" }, SIDES.map((side, index) => field(`${side[0].toUpperCase()}${side.slice(1)} (°)`, inputs[index]))),
    h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), h("button", { class: "button main" }, "Show pictures from there")),
  );
  const dialog = show("Pictures from a place", form, { wide: true });
}

function boxOf(text) {
  const numbers = (text || "").split(",").map(Number);
  return text && numbers.length === 4 && numbers.every(Number.isFinite) ? Object.fromEntries(SIDES.map((side, index) => [side, numbers[index]])) : null;
}
