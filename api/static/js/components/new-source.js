/** Asks for a folder that is to be kept in step with a collection, and how one is to be kept from now on. */

import { post, request } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { every } from "../core/looks.js";
import { asked } from "./allowing.js";
import { button, check, field, note, said, select } from "./basics.js";
import { show } from "./dialog.js";
import { attempt } from "./toast.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}";
const TIMES = [["", "When I ask"], ["300", "Every 5 minutes"], ["1800", "Every 30 minutes"], ["3600", "Every hour"], ["21600", "Every 6 hours"], ["86400", "Every day"], ["604800", "Every week"]];
const PATTERNS = "A pattern a line, as in .gitignore: private/ or *.tif";

/** Shows the window; `onadded(source)` is called with what was added. `known`: the collections that there are. */
export function askForSource(known, collection, onadded) {
  const folder = h("input", { class: "input mono", placeholder: "/home/you/Pictures", required: true, autocomplete: "off", spellcheck: "false" });
  const target = h("input", { class: "input", list: "source-collections", value: collection, required: true, autocomplete: "off", spellcheck: "false" });
  const { times, exclude, watch, captions, chosen } = manner({ every_seconds: 21600, watch: false, exclude: [], caption: false });
  const name = h("input", { class: "input", pattern: NAME, autocomplete: "off", spellcheck: "false" });
  const problem = h("div", { role: "alert" });
  const go = h("button", { class: "button main" }, "Keep it in step");
  const form = h(
    "form",
    { class: "body-parts", onsubmit: attempt(submit) },
    field("Folder on the machine that Darkroom runs on", folder, "Its photographs are taken in at once, and followed from then on. Darkroom never writes to them."),
    h("div", { class: "two" }, field("Collection", target, "Created if it is new."), field("Look at it", times)),
    h("div", {}, watch.element),
    h("datalist", { id: "source-collections" }, known.map((one) => h("option", { value: one.name }))),
    h(
      "details",
      {},
      h("summary", {}, "More"),
      h(
        "div",
        { class: "body-parts" },
        field("Leave out", exclude, PATTERNS),
        field("Name", name, "Left empty, it is called as its folder. Letters, digits, dots, dashes and underscores."),
        captions.element,
      ),
    ),
    problem,
    h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), go),
  );
  const dialog = show("A folder to keep in step", form);
  folder.focus();

  async function submit(event) {
    event.preventDefault();
    const wanted = {
      folder: folder.value.trim(),
      collection: target.value.trim(),
      name: name.value.trim() || null,
      ...chosen(),
    };
    go.disabled = true;
    await asked(async () => {
      const added = await post("/sources", wanted);
      dialog.close();
      onadded(added);
    }, wanted.folder, problem, "Allow this folder, and keep it in step");
    go.disabled = false;
  }
}

/** Shows the window for a source that there is; `onchanged()` is called when it is changed. */
export function askToChange(source, onchanged) {
  const { times, exclude, watch, captions, chosen } = manner(source);
  const problem = h("div", { role: "alert" });
  const go = h("button", { class: "button main" }, "Change it");
  const form = h(
    "form",
    { class: "body-parts", onsubmit: attempt(submit) },
    field("Look at it", times),
    h("div", {}, watch.element),
    field("Leave out", exclude, `${PATTERNS}. What is newly left out leaves the collection with the next look; no file is touched.`),
    captions.element,
    h("p", { class: "small soft" }, "Another folder, or another collection, is another source: add that one, and remove this one."),
    problem,
    h("div", { class: "buttons end" }, button("Cancel", { onclick: () => dialog.close() }), go),
  );
  const dialog = show(`Change “${source.name}”`, form);
  times.focus();

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    try {
      await request(`/sources/${encodeURIComponent(source.name)}`, { method: "PATCH", body: chosen() });
      dialog.close();
      onchanged();
    } catch (error) {
      fill(problem, note(said(error.message), "bad"));
    }
    go.disabled = false;
  }
}

/** The inputs for how a source is kept; `chosen()` is what they say. */
function manner({ every_seconds: seconds, watch: isWatched, exclude: patterns, caption }) {
  const value = seconds ? String(seconds) : "";
  const known = TIMES.some(([one]) => one === value) ? TIMES : [[value, capital(every(seconds))], ...TIMES];
  const times = select(known, value);
  const exclude = h("textarea", { class: "input mono", rows: "3", spellcheck: "false", autocomplete: "off", value: patterns.join("\n") });
  const watch = check("Watch it, too: what changes is looked at within seconds", { checked: isWatched });
  const captions = check("Ask ML for captions too", { checked: caption });
  const chosen = () => ({
    every_seconds: times.value ? Number(times.value) : null,
    exclude: exclude.value.split("\n").filter((line) => line.trim()),
    caption: captions.input.checked,
    watch: watch.input.checked,
  });
  return { times, exclude, watch, captions, chosen };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
