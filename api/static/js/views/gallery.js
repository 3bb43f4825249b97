/** All pictures of a collection, or those that a search finds. */

import { post } from "../core/api.js";
import { activeCollection, cameras, collections } from "../core/collections.js";
import { fill, gathered, h } from "../core/dom.js";
import { count, monthOf, plural } from "../core/format.js";
import { go, link } from "../core/router.js";
import { alike, found, listed, similar } from "../core/source.js";
import { button, empty, failure, select } from "../components/basics.js";
import { archivePictures } from "../components/archiving.js";
import { askText } from "../components/dialog.js";
import { chips, filterPanel, filtersOf } from "../components/filters.js";
import { Grid } from "../components/grid.js";
import { icon } from "../components/icons.js";
import { attempt, toast } from "../components/toast.js";
import { openViewer } from "../components/viewer.js";

const SORTS = [["-taken_at", "Newest first"], ["taken_at", "Oldest first"], ["filename", "Name, A to Z"], ["-filename", "Name, Z to A"], ["-ingested_at", "Added last"]];
const COLLECTION_NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";

// A file is too large for the address.
let lookedFor = null;

export const title = "Gallery";

/** Fills the page; returns how to take another query without being built anew. */
export async function show(root, { query, signal }) {
  let [active, known] = await Promise.all([activeCollection(), collections()]);
  let now = query;
  let source = null;
  let grid = null;
  let viewer = null;

  const search = h("input", { class: "input", id: "search", type: "search", placeholder: "Search pictures", "aria-label": "Search pictures", autocomplete: "off", enterkeyhint: "search" });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "A picture to search with", onchange: () => file.files[0] && searchBy(file.files[0]) });
  const sort = select(SORTS, "-taken_at", { "aria-label": "Sort", onchange: () => change({ sort: sort.value }) });
  const names = [...new Set([active, ...known.map((one) => one.name)])];
  const collection = select(names.map((name) => [name, name]), active, { "aria-label": "Collection", onchange: () => change({ collection: collection.value, image: "" }) });
  const panel = h("div", { id: "filters", hidden: true });
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
      h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), change({ q: search.value.trim(), like: "", file: "" })) }, icon("search"), search, button("Search by a picture", { picture: "picture", square: true, look: "bare", onclick: () => file.click() })),
      file,
      collection,
      sort,
      filterButton,
    ),
    panel,
    state,
    picks,
  );
  const body = h("div", {});
  fill(root, h("div", { class: "gallery" }, head, body));
  search.addEventListener("search", () => search.value === "" && now.q && change({ q: "" }), { signal });
  takeDrops(root, signal, body, searchBy);
  signal.addEventListener("abort", () => {
    source?.close();
    viewer?.close();
  });
  build();
  return { update };

  function change(changes) {
    grid?.unpick();
    go(["gallery"], { ...now, image: "", ...changes });
  }

  async function update(next) {
    const before = now;
    now = next;
    // It may have been made meanwhile.
    if (now.collection && !known.some((one) => one.name === now.collection)) known = await collections();
    if (now !== next) return;
    const looks = (one) => JSON.stringify({ ...one, image: undefined });
    if (looks(before) !== looks(now)) build();
    else if (!now.image) viewer?.close();
    else openAt(now.image);
  }

  function build() {
    source?.close();
    const chosen = now.collection || active;
    const filters = filtersOf(now);
    search.value = now.q || "";
    sort.value = now.sort || "-taken_at";
    if (!names.includes(chosen)) collection.append(h("option", { value: chosen }, chosen));
    collection.value = chosen;
    if (!known.some((one) => one.name === chosen)) {
      source = null;
      grid = null;
      fill(body, nothing(chosen, false));
      fill(state);
      return;
    }
    const isSearch = now.q || now.like || (now.file && lookedFor);
    sort.disabled = Boolean(isSearch);
    source = now.q
      ? found({ collection: chosen, query: now.q, filters })
      : now.like
        ? similar({ collection: chosen, id: now.like, filters })
        : now.file && lookedFor
          ? alike({ collection: chosen, file: lookedFor, filters })
          : listed({ collection: chosen, sort: now.sort || "-taken_at", filters });
    grid = new Grid(source, root, {
      collection: chosen,
      named: (now.sort || "").endsWith("filename"),
      signal,
      headHeight: () => head.offsetHeight,
      onopen: (index) => go(["gallery"], { ...now, image: source.pictures[index].id }),
      onpick: drawPicks,
      onmove: (picture) => (month.textContent = isSearch || !picture || sort.value.endsWith("filename") ? "" : monthOf(picture.taken_at)),
    });
    const end = h("div", { class: "grid-end" });
    fill(body, grid.element, end);
    root.scrollTop = 0;
    drawState(chosen);
    const shown = source;
    source.onchange = () => {
      drawState(chosen);
      if (shown.total === 0 && !shown.error) fill(body, nothing(chosen, Object.keys(filters).length > 0));
      fill(end, shown.error ? failure(shown.error, () => shown.retry()) : shown.done && shown.total > 0 ? `That is all: ${plural(shown.total, "picture")}.` : "");
      grid.draw();
      if (now.image && !viewer) openAt(now.image);
    };
    grid.draw();
    source.more();
  }

  function drawState(chosen) {
    const { total } = source;
    summary.textContent = source.error ? "" : total === null ? "Looking …" : now.like || now.file ? "Most alike first" : plural(total, "picture");
    const wordsOnly = source.mode === "keywords" && h("span", {}, "Words were looked up in captions, names, cameras and dates: the model knows no text.");
    const like = (now.like || now.file) && h("span", { class: "chip" }, h("span", {}, now.file && lookedFor ? `Looks like ${lookedFor.name}` : "More like one picture"), clearButton("Leave this search", () => change({ like: "", file: "" })));
    const text = now.q && h("span", { class: "chip" }, h("span", {}, `“${now.q}”`), clearButton("Leave this search", () => change({ q: "" })));
    fill(state, summary, like, text, chips(now, change), wordsOnly, month);
    root.setAttribute("aria-busy", String(total === null && !source.error));
    document.title = `${chosen} · Darkroom`;
  }

  function nothing(chosen, filtered) {
    if (source && (now.q || now.like || now.file || filtered)) {
      return empty("search", "Nothing was found", "Try other words, or take a filter away.", button("Show all pictures", { onclick: () => go(["gallery"], { collection: now.collection }) }));
    }
    return empty("gallery", "No pictures here yet", `The collection “${chosen}” is empty. Take in a folder, or drop some files.`, h("a", { class: "button main", href: link(["ingest"], { collection: chosen }) }, "Take in photographs"));
  }

  function togglePanel() {
    panel.hidden = !panel.hidden;
    filterButton.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) {
      fill(panel, filterPanel(now, gathered(change), () => cameras(now.collection || active, signal)));
      panel.querySelector("input")?.focus();
    }
  }

  function openAt(id) {
    const index = (source?.pictures ?? []).findIndex((picture) => picture.id === id);
    if (index < 0) return;
    if (viewer) {
      viewer.show(index);
      return;
    }
    viewer = openViewer({
      index,
      pictures: () => source.pictures,
      collection: now.collection || active,
      more: () => source.more(),
      onturn: (at) => go(["gallery"], { ...now, image: source.pictures[at].id }, { replace: true }),
      onclose: (at) => {
        if (!viewer || signal.aborted) return;
        viewer = null;
        if (now.image) go(["gallery"], { ...now, image: "" });
        grid.focus(at);
      },
      onsimilar: (picture) => {
        const open = viewer;
        viewer = null;
        open.close();
        go(["gallery"], { collection: now.collection, like: picture.id });
      },
      onarchive: (picture) => archivePictures([picture.id], now.collection || active, () => viewer?.redraw()).then((report) => report && viewer?.redraw()),
    });
  }

  function drawPicks() {
    const number = grid.picked.size;
    picks.hidden = number === 0;
    fill(
      picks,
      h("strong", { role: "status" }, `${count(number)} selected`),
      button("New collection", { picture: "collections", onclick: attempt(() => collect()) }),
      button("Archive", { picture: "archive", onclick: attempt(async () => (await archivePictures([...grid.picked.keys()], now.collection || active)) && grid.unpick()) }),
      button("Clear", { picture: "close", look: "bare", onclick: () => grid.unpick() }),
    );
  }

  async function collect() {
    const name = await askText("New collection from the selection", "Name", "Create", { hint: "Letters, digits, dots, dashes and underscores.", pattern: COLLECTION_NAME });
    if (!name) return;
    await post("/collections/from_selection", { name, ids: [...grid.picked.keys()], source: now.collection || active });
    grid.unpick();
    toast(`The collection “${name}” was made.`, ["Show it", () => go(["gallery"], { collection: name })]);
  }

  function searchBy(chosen) {
    lookedFor = chosen;
    grid?.unpick();
    go(["gallery"], { collection: now.collection, file: `${chosen.name}-${chosen.lastModified}` });
  }
}

function clearButton(label, onclick) {
  return h("button", { type: "button", "aria-label": label, title: label, onclick }, icon("close"));
}

function takeDrops(root, signal, body, take) {
  const mark = (on) => body.querySelector(".grid")?.classList.toggle("over", on);
  root.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    mark(true);
  }, { signal });
  root.addEventListener("dragleave", (event) => !root.contains(event.relatedTarget) && mark(false), { signal });
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  }, { signal });
}
