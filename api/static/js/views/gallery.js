/** All pictures of a collection, or those that a search finds. */

import { post } from "../core/api.js";
import { collections, facet, filled, opened, used } from "../core/collections.js";
import { fill, h } from "../core/dom.js";
import { count, monthOf, plural } from "../core/format.js";
import { go, here, link, listOf, settle } from "../core/router.js";
import { keep, kept } from "../core/pictures-sent.js";
import { alike, found, listed, similar } from "../core/source.js";
import { advice } from "../components/advice.js";
import { button, empty, failure, said, select } from "../components/basics.js";
import { archivePictures } from "../components/archiving.js";
import { askText, show as showDialog } from "../components/dialog.js";
import { takeDrops } from "../components/drops.js";
import { chips, filterPanel, filtersOf } from "../components/filters.js";
import { Grid } from "../components/grid.js";
import { icon } from "../components/icons.js";
import { attempt, toast } from "../components/toast.js";
import { help as howToSearch, isAny, likely, misread, pointAt } from "../components/query.js";
import { openViewer } from "../components/viewer.js";

const SORTS = [["-taken_at", "Newest first"], ["taken_at", "Oldest first"], ["filename", "Name, A to Z"], ["-filename", "Name, Z to A"], ["-ingested_at", "Added last"], ["-rating", "Best rated first"]];
const COLLECTION_NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";
// How far a list is read for a picture that a link opens, so that the arrows go on from it.
const LOOKED_THROUGH = 3000;

export const title = "Gallery";

/** Fills the page; returns how to take another query without being built anew. */
export async function show(root, { query, signal }) {
  let { name: chosen, known } = await opened(query.collection);
  if (signal.aborted) return {};
  let now = { ...query, collection: chosen };
  settle(["gallery"], now);
  let source = null;
  let grid = null;
  let viewer = null;
  let sent = null;
  let listing = new AbortController();
  let own = "";

  const search = h("input", { class: "input", id: "search", type: "search", placeholder: "Search pictures", "aria-label": "Search pictures", autocomplete: "off", enterkeyhint: "search" });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "A picture to search with", onchange: () => file.files[0] && searchBy(file.files[0]) });
  const sort = select(SORTS, "-taken_at", { "aria-label": "Sort", onchange: () => change({ sort: sort.value }) });
  const collection = select([], "", { "aria-label": "Collection", onchange: () => (used(collection.value), change({ collection: collection.value, image: "" })) });
  const filters = filterPanel(change, (field) => facet(chosen, field, signal), signal);
  const panel = h("div", { id: "filters", hidden: true }, filters.element);
  const filterButton = button(h("span", { class: "wide-only" }, "Filters"), { picture: "filter", "aria-label": "Filters", "aria-expanded": "false", "aria-controls": "filters", onclick: () => togglePanel() });
  const state = h("div", { class: "chips" });
  const summary = h("span", { role: "status" });
  const month = h("span", { class: "month", "aria-hidden": "true" });
  const picks = h("div", { class: "selection", role: "region", "aria-label": "Selected pictures", hidden: true });
  const head = h(
    "div",
    { class: "gallery-head" },
    h("h1", { class: "hidden-text" }, "Gallery"),
    h(
      "div",
      { class: "row" },
      h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), change({ q: search.value.trim(), all: "" })) }, icon("search"), search, button("How to search", { picture: "info", square: true, look: "bare help", onclick: () => showDialog("How to search", howToSearch(), { wide: true }) }), button("Search by a picture", { picture: "picture", square: true, look: "bare", onclick: () => file.click() })),
      file,
      collection,
      sort,
      filterButton,
    ),
    panel,
    state,
    picks,
  );
  const help = advice(signal, () => build());
  const body = h("div", {});
  fill(root, h("div", { class: "gallery" }, head, help.element, body));
  search.addEventListener("search", () => search.value === "" && now.q && change({ q: "", all: "" }), { signal });
  takeDrops(root, signal, (on) => body.querySelector(".grid")?.classList.toggle("over", on), searchBy);
  signal.addEventListener("abort", () => {
    listing.abort();
    source?.close();
    viewer?.close();
  });
  showPanel(localStorage.getItem("filters") === "shown");
  build();
  return { update };

  function change(changes) {
    filters.forget(Object.keys(changes));
    own = link(["gallery"], { ...now, image: "", ...changes });
    go(["gallery"], { ...now, image: "", ...changes });
  }

  async function update(next) {
    const before = now;
    const typing = location.hash === own;
    own = "";
    now = next;
    if (!now.collection || now.collection !== chosen) {
      // It may have been made, or deleted, meanwhile.
      const found = await opened(now.collection);
      if (now !== next) return;
      ({ name: chosen, known } = found);
      if (!now.collection) settle(["gallery"], (now = { ...now, collection: chosen }));
    }
    if (listOf(before) !== listOf(now)) build(typing);
    else if (now.image) openAt(now.image);
    else viewer?.close();
  }

  async function build(typing = false) {
    listing.abort();
    listing = new AbortController();
    const { signal: current } = listing;
    source?.close();
    source = grid = null;
    drawPicks();
    search.value = now.q || "";
    sort.value = now.sort || "-taken_at";
    const names = [...new Set([...known.map((one) => one.name), chosen])];
    fill(collection, names.map((name) => h("option", { value: name }, name)));
    collection.value = chosen;
    filters.show(now, typing);
    if (!panel.hidden) filters.offer();
    sort.disabled = Boolean(now.q || now.like || now.file);
    document.title = `${chosen} · Darkroom`;
    search.placeholder = now.like || now.file ? "Add words to the picture" : "Search pictures";
    sent = now.file && !now.like ? await kept(now.file) : null;
    if (current.aborted) return;
    if (!known.some((one) => one.name === chosen)) {
      draw(known.length ? missing() : nothing(false));
      return;
    }
    const where = { collection: chosen, query: now.q, filters: filtersOf(now) };
    if (now.like) source = similar({ ...where, id: now.like });
    else if (sent) source = alike({ ...where, file: sent });
    else if (now.file) {
      draw(notKept());
      return;
    } else if (now.q) source = found({ ...where, all: now.all });
    else source = listed({ ...where, sort: now.sort || "-taken_at" });
    grid = new Grid(source, root, {
      collection: chosen,
      named: (now.sort || "").endsWith("filename"),
      signal: current,
      headHeight: () => head.offsetHeight,
      onopen: (index) => go(["gallery"], { ...now, image: source.pictures[index].id }),
      onpick: drawPicks,
      onmove: (picture) => (month.textContent = sort.disabled || !picture || sort.value.endsWith("filename") ? "" : monthOf(picture.taken_at)),
    });
    const end = h("div", { class: "grid-end" });
    fill(body, grid.element, end);
    root.scrollTop = 0;
    drawState();
    const shown = source;
    source.onchange = async () => {
      drawState();
      if (shown.error?.status === 404) {
        known = await collections();
        if (current.aborted) return;
        if (!known.some((one) => one.name === chosen)) return draw(missing());
      }
      if (shown.total === 0 && !shown.error) fill(body, nothing(Object.keys(where.filters).length > 0));
      search.toggleAttribute("aria-invalid", Boolean(shown.error?.place));
      if (shown.error?.place) pointAt(search, shown.error.place);
      fill(end, shown.error?.place ? misread(now.q, shown.error) : shown.error ? failure(shown.error, () => shown.retry()) : shown.done && shown.total > 0 ? ending(shown) : "");
      grid.draw();
      viewer?.refresh();
      lookOn();
    };
    grid.draw();
    source.more();
    if (now.image) openAt(now.image);
    else viewer?.close();
  }

  /** Shows this in place of pictures. */
  function draw(instead) {
    viewer?.close();
    fill(body, instead);
    fill(state);
    help.hide();
    root.removeAttribute("aria-busy");
  }

  function drawState() {
    const { total } = source;
    summary.textContent = source.error ? "" : total === null ? "Looking …" : now.like || sent ? (now.q ? "Best first" : "Most alike first") : plural(total, "picture");
    const sure = likely(source);
    const pending = source.pending > 0 && h("span", {}, `${plural(source.pending, "picture")} get their words now: of these, only captions and names were looked through.`);
    const like = (now.like || sent) && h("span", { class: "chip" }, h("span", {}, sent ? `Looks like ${sent.name}` : "More like one picture"), clearButton("Leave this picture", () => change({ like: "", file: "" })));
    const text = now.q && h("span", { class: "chip" }, h("span", {}, `“${now.q}”`), clearButton("Leave this search", () => change({ q: "", all: "" })));
    fill(state, summary, sure && h("span", {}, sure), like, text, chips(now, change), pending, month);
    help.show(source, chosen);
    root.setAttribute("aria-busy", String(total === null && !source.error));
  }

  /** The end of a list. Where the model has set it, there is more. */
  function ending({ total, likely: told }) {
    if (!isAny(told) || now.all) return `That is all: ${plural(total, "picture")}.`;
    return [h("p", {}, `That is all that is likely: ${plural(total, "picture")}.`), button("Show less likely ones, too", { onclick: () => change({ all: "1" }) })];
  }

  function nothing(filtered) {
    if (source && (now.q || now.like || now.file || filtered)) {
      return empty("search", "Nothing was found", source.hint ? said(source.hint) : "Try other words, or take a filter away.", button("Show all pictures", { onclick: () => go(["gallery"], { collection: chosen }) }));
    }
    return empty("gallery", "No pictures here yet", `The collection “${chosen}” is empty. Take in a folder, or drop some files.`, h("a", { class: "button main", href: link(["ingest"], { collection: chosen }) }, "Take in photographs"), others());
  }

  function missing() {
    return empty("collections", `There is no collection “${chosen}”`, "It was deleted, or no job has made it yet.", others(), h("a", { class: "button", href: link(["ingest"], { collection: chosen }) }, "Take in photographs"));
  }

  function notKept() {
    return empty("picture", "The picture is not kept here", "A picture that is searched with stays in the browser in which it was chosen, and the latest 20 are kept there. Choose it again.", button("Choose a picture", { look: "main", onclick: () => file.click() }), button("Show all pictures", { onclick: () => go(["gallery"], { collection: chosen }) }));
  }

  function others() {
    return filled(known).filter((one) => one.name !== chosen).slice(0, 3).map((one) => h("a", { class: "button", href: link(["gallery"], { collection: one.name }) }, `Show “${one.name}” (${count(one.points)})`));
  }

  function togglePanel() {
    showPanel(panel.hidden);
    localStorage.setItem("filters", panel.hidden ? "hidden" : "shown");
    if (panel.hidden) return;
    filters.offer();
    panel.querySelector("input").focus();
  }

  function showPanel(isShown) {
    panel.hidden = !isShown;
    filterButton.setAttribute("aria-expanded", String(isShown));
  }

  function openAt(id) {
    if (viewer) {
      viewer.show(id);
      lookOn();
      return;
    }
    viewer = openViewer({
      id,
      pictures: () => source?.pictures ?? [],
      collection: chosen,
      more: () => source.more(),
      onturn: (next) => go(["gallery"], { ...now, image: next }, { replace: true }),
      onclose: (last) => {
        viewer = null;
        if (signal.aborted) return;
        if (here().query.image) go(["gallery"], { ...now, image: "" });
        const index = (source?.pictures ?? []).findIndex((picture) => picture.id === last);
        if (index >= 0) grid.focus(index);
      },
      onsimilar: (picture) => go(["gallery"], { collection: chosen, like: picture }),
      onarchive: (picture) => archivePictures([picture], chosen, () => viewer?.redraw()).then((report) => report && viewer?.redraw()),
    });
    lookOn();
  }

  /** Reads on in the list until it has the picture that is open. */
  function lookOn() {
    if (!viewer || viewer.index() >= 0 || !source || source.total === null || source.done) return;
    if (source.pictures.length < LOOKED_THROUGH) source.more();
  }

  function drawPicks() {
    const number = grid?.picked.size ?? 0;
    picks.hidden = number === 0;
    if (!number) {
      fill(picks);
      return;
    }
    const ids = [...grid.picked.keys()];
    const { unpick } = grid;
    fill(
      picks,
      h("strong", { role: "status" }, `${count(number)} selected`),
      button("New collection", { picture: "collections", onclick: attempt(() => collect(ids, unpick)) }),
      button("Archive", { picture: "archive", onclick: attempt(async () => (await archivePictures(ids, chosen)) && unpick()) }),
      button("Clear", { picture: "close", look: "bare", onclick: unpick }),
    );
  }

  async function collect(ids, unpick) {
    const source = chosen;
    const name = await askText("New collection from the selection", "Name", "Create", { hint: "Letters, digits, dots, dashes and underscores.", pattern: COLLECTION_NAME });
    if (!name) return;
    await post("/collections/from_selection", { name, ids, source });
    unpick();
    toast(`The collection “${name}” was made.`, ["Show it", () => go(["gallery"], { collection: name })]);
  }

  async function searchBy(picture) {
    const name = await keep(picture);
    file.value = "";
    if (!signal.aborted) go(["gallery"], { collection: chosen, file: name });
  }
}

function clearButton(label, onclick) {
  return h("button", { type: "button", "aria-label": label, title: label, onclick }, icon("close"));
}
