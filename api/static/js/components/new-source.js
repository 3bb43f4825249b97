/** Asks for a folder that is to be kept in step with a collection. */

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { asked } from "./allowing.js";
import { button, check, field, select } from "./basics.js";
import { show } from "./dialog.js";
import { attempt } from "./toast.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}";
const TIMES = [["", "When I ask"], ["300", "Every 5 minutes"], ["1800", "Every 30 minutes"], ["3600", "Every hour"], ["21600", "Every 6 hours"], ["86400", "Every day"], ["604800", "Every week"]];

/** Shows the window; `onadded(source)` is called with what was added. `known`: the collections that there are. */
export function askForSource(known, collection, onadded) {
  const folder = h("input", { class: "input mono", placeholder: "/home/you/Pictures", required: true, autocomplete: "off", spellcheck: "false" });
  const target = h("input", { class: "input", list: "source-collections", value: collection, required: true, autocomplete: "off", spellcheck: "false" });
  const times = select(TIMES, "21600");
  const exclude = h("textarea", { class: "input mono", rows: "3", spellcheck: "false", autocomplete: "off" });
  const name = h("input", { class: "input", pattern: NAME, autocomplete: "off", spellcheck: "false" });
  const watch = check("Watch it, too: what changes is looked at within seconds");
  const captions = check("Ask ML for captions too");
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
        field("Leave out", exclude, "A pattern a line, as in .gitignore: private/ or *.tif"),
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
      every_seconds: times.value ? Number(times.value) : null,
      exclude: exclude.value.split("\n").filter((line) => line.trim()),
      caption: captions.input.checked,
      watch: watch.input.checked,
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
