/** What a person says of pictures that are gone: keep them longer. */

import { h } from "../core/dom.js";
import { plural } from "../core/format.js";
import { button, field, select } from "./basics.js";
import { show } from "./dialog.js";

const TIMES = [["30", "30 days longer"], ["365", "A year longer"], ["", "For good"], ["planned", "As planned, no longer"]];

/** Asks how long: `{ days }`, null for good, or `{ asPlanned: true }`; null where it is called off. */
export function askKeeping(some) {
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
    const dialog = show(`Keep ${named(some)}?`, form, { onclose: () => resolve(answer) });
    times.focus();
  });
}

const named = (some) => (some.length === 1 ? `“${some[0].filename}”` : plural(some.length, "picture"));
