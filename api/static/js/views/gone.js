/** Pictures of a collection whose files have all left: until when they are kept, and what a person says to that. */

import { address, get, post } from "../core/api.js";
import { opened } from "../core/collections.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { go, link, settle } from "../core/router.js";
import { addRows, badge, button, check, empty, failure, pageHead, replaceRow, select, table } from "../components/basics.js";
import { askForgetting, askKeeping } from "../components/parting.js";
import { attempt, toast } from "../components/toast.js";

const PAGE = 100;
// In one request.
const MOST_IDS = 1000;

export const title = "Gone pictures";

export async function show(root, { query, signal }) {
  const { name: collection, known } = await opened(query.collection);
  if (signal.aborted) return;
  settle(["gone"], { collection });
  const chosen = new Map();
  const rows = new Map();
  let listing = null;
  let total = 0;
  let isAll = false; // of the collection, also what is not shown
  const which = select(known.map((one) => [one.name, one.gone ? `${one.name} (${format.count(one.gone)})` : one.name]), collection, { "aria-label": "Collection", onchange: () => go(["gone"], { collection: which.value }) });
  const bulk = h("div", { class: "selection", role: "region", "aria-label": "Selected pictures", hidden: true });
  const list = h("div", {});
  fill(
    root,
    h(
      "div",
      { class: "page" },
      pageHead("Gone pictures", "Their files have all left. No list and no search shows them; if a file comes back, so does its picture. Until the day that stands here they are kept, with all that is known of them.", h("div", {}, which)),
      bulk,
      list,
    ),
  );
  if (known.some((one) => one.name === collection)) await load();
  else fill(list, empty("collections", `There is no collection “${collection}”`, "Choose another one.", h("a", { class: "button", href: link(["collections"]) }, "All collections")));

  async function load() {
    choose(false);
    rows.clear();
    const content = table("Gone pictures", [["Select"], ["Picture"], ["Gone since"], ["Kept until"], [""]], []);
    listing = { content, cursor: null };
    await page();
  }

  async function page() {
    const { content, cursor } = listing;
    try {
      const found = await get("/images/gone", { collection, per_page: PAGE, cursor }, signal);
      const fresh = found.images.filter((one) => !rows.has(one.id));
      if (isAll) for (const one of fresh) chosen.set(one.id, one);
      for (const one of fresh) rows.set(one.id, { one, element: row(one) });
      addRows(content, fresh.map((one) => rows.get(one.id).element));
      listing.cursor = found.next;
      total = found.total;
      draw();
    } catch (error) {
      if (!signal.aborted) fill(list, failure(error, load));
    }
  }

  function draw() {
    // Behind the last one there may be a page without any.
    const more = listing.cursor && rows.size < total && button("Show more", { onclick: attempt(page) });
    const focused = document.activeElement?.textContent === "Show more";
    if (rows.size) fill(list, h("p", { class: "soft", role: "status" }, rows.size < total ? `${format.count(rows.size)} of ${format.plural(total, "picture")}` : format.plural(rows.size, "picture")), listing.content, more && h("div", { class: "grid-end" }, more));
    else if (more) fill(list, h("div", { class: "grid-end" }, more));
    else fill(list, empty("good", "No picture is gone", `Each picture of “${collection}” has a file.`, h("a", { class: "button", href: link(["gallery"], { collection }) }, "Show the collection")));
    if (focused && more) more.focus();
    drawBulk();
  }

  function drawBulk() {
    bulk.hidden = chosen.size === 0;
    const areAllShown = chosen.size === rows.size;
    const all = areAllShown
      ? rows.size < total && !isAll && button(`Select all ${format.count(total)} of “${collection}”`, { onclick: () => ((isAll = true), drawBulk()) })
      : button(`Select all ${format.count(rows.size)} shown`, { onclick: () => choose(true) });
    fill(bulk, h("strong", { role: "status" }, isAll ? `All ${format.count(total)} of “${collection}” selected` : `${format.count(chosen.size)} selected`), all, button("Select none", { onclick: () => choose(false) }), button("Keep longer", { picture: "archive", onclick: attempt(() => keep(selection())) }), button("Forget", { picture: "trash", look: "danger", onclick: attempt(() => forget(selection())) }));
  }

  const selection = () => (isAll ? null : [...chosen.values()]);

  function choose(on) {
    chosen.clear();
    isAll = false;
    if (on) for (const [id, { one }] of rows) chosen.set(id, one);
    for (const { element } of rows.values()) element.querySelector("input").checked = on;
    drawBulk();
  }

  function row(one) {
    const pick = check("", { "aria-label": `Select ${one.filename}`, checked: chosen.has(one.id), onchange: () => {
      if (pick.input.checked) chosen.set(one.id, one);
      else chosen.delete(one.id);
      isAll = false;
      drawBulk();
    } });
    return h(
      "tr",
      {},
      h("td", {}, pick.element),
      h("td", { class: "wrap" }, h("div", { class: "gone-picture" }, h("img", { alt: "", loading: "lazy", src: address(`/images/${one.id}/thumbnail`, { collection }) }), h("div", {}, h("strong", { class: "clamp", title: one.filename }, one.filename), h("div", { class: "small soft clamp", title: one.path }, one.path)))),
      h("td", { class: "when" }, format.dateTime(one.gone_at)),
      h("td", { class: "when" }, one.purge_at ? format.dateTime(one.purge_at) : badge("for good", "good"), one.kept && one.purge_at && h("div", { class: "small soft" }, "longer, as you said")),
      h("td", {}, h("div", { class: "buttons gone-acts" }, button(`Keep ${one.filename} longer`, { picture: "archive", square: true, onclick: attempt(() => keep([one])) }), button(`Forget ${one.filename}`, { picture: "trash", look: "danger", square: true, onclick: attempt(() => forget([one])) }))),
    );
  }

  /** Keeps some longer; null: all that are gone. */
  async function keep(some) {
    const wanted = await askKeeping(named(some));
    if (!wanted) return;
    const path = `/images/gone/${wanted.asPlanned ? "release" : "keep"}`;
    const days = wanted.asPlanned ? {} : { days: wanted.days };
    const done = await inParts(some, (which) => post(path, { ...which, ...days }, { collection }), ({ images }) => {
      for (const one of images.filter(({ id }) => rows.has(id))) {
        chosen.delete(one.id);
        const before = rows.get(one.id).element;
        rows.set(one.id, { one, element: row(one) });
        replaceRow(listing.content, before, rows.get(one.id).element);
      }
    });
    toast(`${format.plural(done.reduce((sum, { count }) => sum + count, 0), "picture")} ${wanted.asPlanned ? "as planned again" : "kept longer"}.`);
    if (some === null) await load();
  }

  /** Forgets some for good; null: all that are gone. */
  async function forget(some) {
    if (!(await askForgetting(named(some), some?.length === 1 ? some[0] : null, collection))) return;
    const done = await inParts(some, (which) => post("/forget", { ...(which.all ? { gone: true } : which), collection }), (_, ids) => {
      for (const id of ids ?? [...rows.keys()]) {
        rows.get(id)?.element.remove();
        rows.delete(id);
        chosen.delete(id);
      }
      total = ids ? total - ids.length : 0;
    });
    if (some === null) choose(false);
    toast(`${format.plural(done.reduce((sum, { pictures }) => sum + pictures, 0), "picture")} forgotten.`);
  }

  const named = (some) => (some === null ? `all ${format.plural(total, "gone picture")} of “${collection}”` : some.length === 1 ? `“${some[0].filename}”` : format.plural(some.length, "picture"));

  /** Asks for many in as many requests as it takes, and calls `ondone(answer, ids)` after each; null: for all, in one. */
  async function inParts(some, send, ondone) {
    const answers = [];
    const parts = some === null ? [null] : Array.from({ length: Math.ceil(some.length / MOST_IDS) }, (_, part) => some.slice(part * MOST_IDS, (part + 1) * MOST_IDS).map(({ id }) => id));
    try {
      for (const ids of parts) {
        answers.push(await send(ids ? { ids } : { all: true }));
        ondone(answers.at(-1), ids);
      }
    } finally {
      draw();
    }
    return answers;
  }
}
