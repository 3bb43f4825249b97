/** What a person says of pictures that are gone, or are to be: keep them longer, forget them, or leave them. */

import { post } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { dateTime, plural } from "../core/format.js";
import { button, check, field, select } from "./basics.js";
import { ask, show } from "./dialog.js";

const TIMES = [["30", "30 days longer"], ["365", "A year longer"], ["", "For good"], ["planned", "As planned, no longer"]];

/** Asks how long `what` is kept: `{ days }`, null for good, or `{ asPlanned: true }`; null where it is called off. */
export function askKeeping(what) {
  return new Promise((resolve) => {
    let answer = null;
    const times = select(TIMES, "30");
    const form = h(
      "form",
      {
        class: "body-parts",
        onsubmit: (event) => {
          event.preventDefault();
          answer = times.value === "planned" ? { asPlanned: true } : { days: times.value ? Number(times.value) : null };
          dialog.close();
        },
      },
      field("How long", times, "Counted from the day on which it would be purged."),
      h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), h("button", { class: "button main" }, "Keep")),
    );
    const dialog = show(`Keep ${what}?`, form, { onclose: () => resolve(answer) });
    times.focus();
  });
}

/** Asks whether all that is known of `what` is to be deleted; true for yes. Of `single` it says what Kafka still holds. */
export async function askForgetting(what, single, collection) {
  const told = single && (await post("/forget", { content: single.sha256, collection, dry_run: true }));
  const until = told?.kafka?.map((one) => one.until).sort().at(-1);
  const text = [
    "All that Darkroom knows of it is deleted: the picture, its thumbnail, its vector. This cannot be undone. No file is touched; one of the same content is left out from now on, until ",
    h("code", {}, "darkroom unforget"),
    " says otherwise.",
    until && ` Kafka holds messages about it until ${dateTime(until)}.`,
    told?.paths_total > 0 && ` ${plural(told.paths_total, "path")} led to it.`,
  ];
  return ask(`Forget ${what}?`, text, "Forget", { danger: true });
}

/** Asks before a source is removed: `{ forget }`, whether its pictures are forgotten too; null where it is called off. */
export function askRemoving(source) {
  return new Promise((resolve) => {
    let answer = null;
    const forget = check("Forget its pictures, too");
    const means = h("p", { class: "soft", role: "status" });
    const go = h("button", { class: "button main danger" });
    const told = () => {
      fill(means, forget.input.checked ? "All that Darkroom knows of the pictures that this source alone holds is deleted. This cannot be undone. No file is touched, and none of the same content is taken in again." : `Its pictures stay in “${source.collection}”, and its files where they are.`);
      fill(go, forget.input.checked ? "Remove it, and forget its pictures" : "Remove the source");
    };
    forget.input.addEventListener("change", told);
    const form = h(
      "form",
      { class: "body-parts", onsubmit: (event) => (event.preventDefault(), (answer = { forget: forget.input.checked }), dialog.close()) },
      h("p", {}, `${source.folder} is looked at no more.`),
      means,
      h("div", {}, forget.element),
      h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), go),
    );
    told();
    const dialog = show(`Remove the source “${source.name}”?`, form, { onclose: () => resolve(answer) });
    form.querySelector(".buttons button").focus();
  });
}
