/** Collections: make, choose, merge, delete. */

import { address, get, post, request } from "../core/api.js";
import { collections, used } from "../core/collections.js";
import { fill, h, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { embeddingAnew } from "../core/jobs.js";
import { link } from "../core/router.js";
import { ended } from "../core/runs.js";
import { drawAnew } from "../components/anew.js";
import { badge, button, check, empty, field, pageHead } from "../components/basics.js";
import { ask, askText, show as showDialog } from "../components/dialog.js";
import { attempt, toast } from "../components/toast.js";

const EVERY_MS = 3000;
const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";
const NAME_HINT = "Letters, digits, dots, dashes and underscores.";

export const title = "Collections";

export async function show(root, { signal }) {
  const anew = new Map();
  let drawn = "";
  await draw();
  await repeat(lookForJobs, EVERY_MS, signal);

  /** Says on the cards which collections are being embedded anew. */
  async function lookForJobs() {
    let jobs;
    try {
      jobs = await embeddingAnew("", signal);
    } catch {
      return; // what is asked for by a press says what is wrong
    }
    const now = jobs.map((job) => job.job_id).sort().join();
    if (drawn && now !== drawn) await draw(); // one has ended: with other vectors
    drawn = now;
    for (const [name, element] of anew) {
      const job = jobs.find((one) => one.collection === name);
      element.hidden = !job;
      if (job) await drawAnew(element, job, signal).catch(() => {});
    }
  }

  async function draw() {
    const [{ name: active }, known] = await Promise.all([get("/collections/active"), collections()]);
    if (signal.aborted) return;
    const create = button("New collection", { picture: "plus", look: "main", onclick: attempt(make) });
    const merge = button("Merge", { picture: "merge", disabled: known.length < 2, onclick: attempt(() => mergeSome(known)) });
    fill(
      root,
      h(
        "div",
        { class: "page" },
        pageHead("Collections", "A collection holds the pictures of one model. The active one is used where none is named.", merge, create),
        known.length
          ? h("div", { class: "cards" }, known.map((one) => card(one, one.name === active)))
          : empty("collections", "No collections yet", `The first job makes one: “${active}”, unless you name another.`, h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")),
      ),
    );
  }

  function card(one, isActive) {
    const progress = h("div", { class: "body-parts", role: "group", "aria-label": `New vectors of ${one.name}`, hidden: true });
    anew.set(one.name, progress);
    const cover = h("div", { class: "cover", "aria-hidden": "true" });
    if (one.points) drawCover(cover, one.name);
    return h(
      "section",
      { class: `card collection ${isActive ? "active" : ""}`, "aria-label": `Collection ${one.name}` },
      cover,
      h("div", { class: "row between" }, h("h2", { class: "grow" }, h("a", { href: link(["gallery"], { collection: one.name }) }, one.name)), isActive && badge("active", "good")),
      h("p", { class: "soft small" }, `${format.plural(one.points, "picture")} · ${one.model_id ?? "made by another program"} · ${one.dimension} dimensions`),
      one.gone > 0 && h("p", { class: "small" }, h("a", { href: link(["gone"], { collection: one.name }) }, `${format.plural(one.gone, "picture")} gone`), " from the disk, in no list and no search"),
      progress,
      h(
        "div",
        { class: "buttons" },
        !isActive && button("Make active", { picture: "check", "aria-label": `Make ${one.name} active`, onclick: attempt(async () => {
          await post("/collections/select", { name: one.name });
          used(one.name);
          toast(`“${one.name}” is active now.`);
          await draw();
        }) }),
        button("Delete", { picture: "trash", look: "danger", "aria-label": `Delete ${one.name}`, onclick: attempt(() => remove(one)) }),
      ),
    );
  }

  async function drawCover(cover, name) {
    try {
      const { images } = await get("/images", { collection: name, per_page: 4 }, signal);
      fill(cover, images.map((image) => h("img", { alt: "", loading: "lazy", src: address(`/images/${image.id}/thumbnail`, { collection: name }) })));
    } catch {
      // The card says all that matters without it.
    }
  }

  async function make() {
    const name = await askText("New collection", "Name", "Create", { hint: NAME_HINT, pattern: NAME });
    if (!name) return;
    await post("/collections", { name });
    toast(`The collection “${name}” was made.`);
    await draw();
  }

  async function remove(one) {
    const yes = await ask(`Delete “${one.name}”?`, `${format.plural(one.points, "picture")} will no longer be found in it. The photographs themselves are not touched; taken in again, they cost no ML call.`, "Delete the collection", { danger: true });
    if (!yes) return;
    await request(`/collections/${encodeURIComponent(one.name)}`, { method: "DELETE" });
    toast(`“${one.name}” was deleted.`);
    await draw();
  }

  function mergeSome(known) {
    return new Promise((resolve) => {
      const target = h("input", { class: "input", required: true, pattern: NAME, list: "merge-names", autocomplete: "off" });
      const state = h("p", { class: "soft", role: "status" });
      const sources = known.map((one) => check(`${one.name} (${format.count(one.points)})`, { value: one.name }));
      const form = h(
        "form",
        {
          onsubmit: attempt(async (event) => {
            event.preventDefault();
            const names = sources.filter(({ input }) => input.checked).map(({ input }) => input.value);
            if (!names.length) throw new Error("Choose at least one collection to merge.");
            const body = { sources: names, target: target.value.trim() };
            const run = await post("/collections/merge", body);
            await ended(`/runs/${run.id}`, ({ read, total }) => (state.textContent = `Copied ${format.count(read)} of ${format.count(total)} pictures …`), signal);
            dialog.close();
            toast(`Merged into “${body.target}”. The collections that were merged are still there.`);
            await draw();
          }),
        },
        h("fieldset", { class: "plain-set" }, h("legend", {}, "Copy the pictures of"), sources.map(({ element }) => h("div", {}, element))),
        field("Into", target, `An existing collection of the same model, or a new one. ${NAME_HINT}`),
        h("datalist", { id: "merge-names" }, known.map((one) => h("option", { value: one.name }))),
        state,
        h("div", { class: "buttons end" }, button("Close", { onclick: () => dialog.close() }), h("button", { class: "button main" }, "Merge")),
      );
      const dialog = showDialog("Merge collections", form, { onclose: resolve });
    });
  }
}
