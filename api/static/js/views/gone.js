/** Pictures of a collection whose files have all left: until when they are kept, and what a person says to that. */

import { address, get, post, request } from "../core/api.js";
import { opened } from "../core/collections.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { go, link, settle } from "../core/router.js";
import { addRows, badge, button, check, empty, failure, pageHead, replaceRow, select, table } from "../components/basics.js";
import { askForgetting, askKeeping } from "../components/parting.js";
import { attempt, toast } from "../components/toast.js";

const PAGE = 100;
const AT_ONCE = 4;

export const title = "Gone pictures";

export async function show(root, { query, signal }) {
  const { name: collection, known } = await opened(query.collection);
  if (signal.aborted) return;
  settle(["gone"], { collection });
  const chosen = new Map();
  const rows = new Map();
  let listing = null;
  let total = 0;
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
    chosen.clear();
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
    const some = [...chosen.values()];
    const all = chosen.size < rows.size && button(`Select all ${format.count(rows.size)} shown`, { onclick: () => pickAll(true) });
    fill(bulk, h("strong", { role: "status" }, `${format.count(chosen.size)} selected`), all, button("Select none", { onclick: () => pickAll(false) }), button("Keep longer", { picture: "archive", onclick: attempt(() => keep(some)) }), button("Forget", { picture: "trash", look: "danger", onclick: attempt(() => forget(some)) }));
  }

  function pickAll(on) {
    chosen.clear();
    if (on) for (const [id, { one }] of rows) chosen.set(id, one);
    for (const { element } of rows.values()) element.querySelector("input").checked = on;
    drawBulk();
  }

  function row(one) {
    const pick = check("", { "aria-label": `Select ${one.filename}`, checked: chosen.has(one.id), onchange: () => {
      if (pick.input.checked) chosen.set(one.id, one);
      else chosen.delete(one.id);
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

  async function keep(some) {
    const wanted = await askKeeping(some);
    if (!wanted) return;
    const path = (one) => `/images/${one.id}/keep`;
    await each(some, async (one) => {
      const now = wanted.asPlanned ? await request(path(one), { method: "DELETE", query: { collection } }) : await post(path(one), { days: wanted.days }, { collection });
      const before = rows.get(one.id).element;
      rows.set(one.id, { one: now, element: row(now) });
      replaceRow(listing.content, before, rows.get(one.id).element);
    }, wanted.asPlanned ? "as planned again" : "kept longer");
  }

  async function forget(some) {
    if (!(await askForgetting(some, collection))) return;
    await each(some, async (one) => {
      await post("/forget", { content: one.sha256, collection });
      rows.get(one.id).element.remove();
      rows.delete(one.id);
      total -= 1;
    }, "forgotten");
  }

  /** Does something with each, a few at once, and says how it went. */
  async function each(some, call, done) {
    const left = [...some];
    const failed = [];
    const told = h("strong", { role: "status" });
    let finished = 0;
    bulk.hidden = false;
    fill(bulk, told);
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let one = left.shift(); one && !signal.aborted; one = left.shift()) {
        try {
          chosen.delete(one.id);
          await call(one);
        } catch (error) {
          failed.push(error);
        }
        told.textContent = `${format.count((finished += 1))} of ${format.plural(some.length, "picture")} done …`;
      }
    }));
    if (signal.aborted) return;
    if (failed.length) toast(`${format.plural(some.length - failed.length, "picture")} ${done}; of ${format.count(failed.length)} it is not done: ${failed[0].message}`);
    else toast(`${format.plural(some.length, "picture")} ${done}.`);
    if (failed.length) await load();
    else draw();
  }}
