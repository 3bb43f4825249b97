/** What the gallery is narrowed by. All of it stands in the address: from, to, camera, caption, stars, label, person, and the sides of a box. */

import { fill, h, settled } from "../core/dom.js";
import { plural } from "../core/format.js";
import { button, field } from "./basics.js";
import { show } from "./dialog.js";
import { icon } from "./icons.js";
import { mapToChoose } from "./map.js";

const SIDES = ["north", "south", "west", "east"];
const TYPED_MS = 500;
// Lists of what can be chosen, with the field of the payload that holds it.
const OFFERED = { cameras: "camera_model", labels: "label", people: "people" };

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
  if (Number(query.stars)) filters.rating = { gte: Number(query.stars) };
  if (query.label) filters.label = query.label;
  if (query.person) filters.people = query.person;
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
    Number(query.stars) && [`Rated ${query.stars} or more`, { stars: "" }],
    query.label && [`Label: ${query.label}`, { label: "" }],
    query.person && [query.person, { person: "" }],
    boxOf(query.box) && ["Place", { box: "" }],
  ].filter(Boolean);
  return chosen.map(([text, without]) => {
    const label = `Remove filter ${text}`;
    return h("span", { class: "chip" }, h("span", {}, text), h("button", { type: "button", "aria-label": label, title: label, onclick: () => change(without) }, icon("close")));
  });
}

/**
 * The inputs. `change(changes)` is told what was chosen, typed text when no more comes for half a second.
 * `show(query, typing)` has them say what is filtered by; where `typing`, what is being typed stays. `forget(names)`
 * takes back what was typed for these. What `facet(field)` promises is offered when it is there; any other may be typed.
 */
export function filterPanel(change, facet, signal) {
  let typed = {};
  let place = null;
  const hand = settled(() => {
    const all = typed;
    typed = {};
    change(all);
  }, TYPED_MS, signal);
  const input = (name, attributes) => h("input", { class: "input", ...attributes, oninput: (event) => ((typed[name] = event.target.value.trim()), hand()) });
  const inputs = {
    from: input("from", { type: "date" }),
    to: input("to", { type: "date" }),
    camera: input("camera", { list: "cameras", placeholder: "Any" }),
    caption: input("caption", { placeholder: "Any" }),
    stars: input("stars", { type: "number", min: 1, max: 5, step: 1, placeholder: "Any" }),
    label: input("label", { list: "labels", placeholder: "Any" }),
    person: input("person", { list: "people", placeholder: "Any" }),
  };
  const offered = Object.keys(OFFERED).map((id) => h("datalist", { id }));
  const box = button("", { onclick: () => choosePlace(place, change) });
  const element = h(
    "div",
    { class: "filters", role: "group", "aria-label": "Filters" },
    field("Taken from", inputs.from),
    field("Taken until", inputs.to),
    field("Camera", inputs.camera),
    offered,
    field("Words in the caption", inputs.caption),
    field("Minimum stars", inputs.stars),
    field("Label", inputs.label),
    field("Person", inputs.person),
    h("div", { class: "field" }, h("span", { class: "label" }, "Place"), box),
  );
  return { element, show, offer, forget: (names) => names.forEach((name) => delete typed[name]) };

  function show(query, typing) {
    if (!typing) {
      typed = {};
      hand.cancel();
    }
    for (const [name, one] of Object.entries(inputs)) {
      const value = query[name] || "";
      // A date that is half typed has no value: to set one would empty its field.
      if (!(name in typed) && one.value !== value) one.value = value;
    }
    place = boxOf(query.box);
    fill(box, place ? "Change the box" : "Choose on a map");
  }

  function offer() {
    Object.values(OFFERED).forEach((one, index) => {
      // Without them a name can be typed all the same; a service that does not answer shows in the grid.
      facet(one).then((values) => fill(offered[index], values.map(({ value, images }) => h("option", { value }, plural(images, "picture")))), () => {});
    });
  }
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
