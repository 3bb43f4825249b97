/** Puts the page together: navigation, the view that the address names, and keys that work everywhere. */

import { get, request } from "./core/api.js";
import { fill, h, repeat } from "./core/dom.js";
import { count } from "./core/format.js";
import { standing } from "./core/looks.js";
import { forgetAll } from "./core/pictures-sent.js";
import { here, link } from "./core/router.js";
import { button, failure } from "./components/basics.js";
import { closeAll, show as showDialog } from "./components/dialog.js";
import { icon } from "./components/icons.js";
import { attempt } from "./components/toast.js";
import { nextTheme, setTheme, theme } from "./theme.js";
import * as collections from "./views/collections.js";
import * as duplicates from "./views/duplicates.js";
import * as gallery from "./views/gallery.js";
import * as gone from "./views/gone.js";
import * as ingest from "./views/ingest.js";
import * as job from "./views/job.js";
import * as jobs from "./views/jobs.js";
import * as letters from "./views/letters.js";
import * as source from "./views/source.js";
import * as sources from "./views/sources.js";
import * as system from "./views/system.js";

const PLACES = [
  ["gallery", "Gallery", "gallery"],
  ["ingest", "Ingest", "ingest"],
  ["sources", "Sources", "sources"],
  ["jobs", "Jobs", "jobs"],
  ["dead-letters", "Dead letters", "letters"],
  ["duplicates", "Duplicates", "duplicates"],
  ["collections", "Collections", "collections"],
  ["system", "System", "system"],
];
const VIEWS = { gallery, gone, ingest, sources, jobs, "dead-letters": letters, duplicates, collections, system };
/** A view that has no place of its own in the navigation stands there. */
const BELONGS = { gone: "collections" };
/** What shows one of those that a view lists. */
const ONE = { jobs: job, sources: source };
const COUNT_EVERY_MS = 15000;

const KEYS = [
  ["/", "Search"], ["g then i, o, j, d, u, c, s, g", "Ingest, sources, jobs, dead letters, duplicates, collections, system, gallery"],
  ["Arrows, Home, End, Page keys", "Move through the gallery"], ["Enter", "Open a picture"], ["x or Space", "Select a picture"],
  ["← →", "Picture before, picture after"], ["+ - 0", "Closer, further, all of a picture; a wheel, two fingers and a double click do it too, arrows and dragging move it"], ["i", "Show or hide what is known of a picture"], ["m", "More like this"], ["Escape", "Close"], ["?", "These keys"],
];
const GO_KEYS = { g: "gallery", i: "ingest", o: "sources", j: "jobs", d: "dead-letters", u: "duplicates", c: "collections", s: "system" };

const content = document.querySelector("#content");
let left = new AbortController();
let shown = null;
let waitsForPlace = 0;

async function route() {
  const { path, query } = here();
  const name = path[0] in VIEWS ? path[0] : "gallery";
  const view = (path[1] && ONE[name]) || VIEWS[name];
  const place = [name, ...path.slice(1)].join("/");
  markPlace(BELONGS[name] ?? name);
  if (shown?.place === place && shown.update) {
    shown.update(query);
    return;
  }
  left.abort();
  left = new AbortController();
  const { signal } = left;
  shown = { place };
  document.title = `${view.title} · Darkroom`;
  fill(content);
  content.scrollTop = 0;
  content.removeAttribute("aria-busy");
  try {
    const methods = await view.show(content, { path: path.slice(1), query, signal });
    if (!signal.aborted) Object.assign(shown, methods);
  } catch (error) {
    if (!signal.aborted) fill(content, h("div", { class: "page" }, h("h1", {}, view.title), failure(error, () => ((shown = null), route()))));
  }
}

function markPlace(name) {
  for (const anchor of document.querySelectorAll(".nav a")) {
    if (anchor.dataset.place === name) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function buildFrame() {
  const nav = document.querySelector(".nav");
  fill(nav, PLACES.map(([name, text, picture]) => h("a", { href: link([name]), "data-place": name }, icon(picture), h("span", {}, text))));
  const themeButton = button("", { picture: "theme", look: "bare", onclick: () => (setTheme(nextTheme()), nameTheme()) });
  const nameTheme = () => fill(themeButton, icon("theme"), `Theme: ${theme()}`);
  nameTheme();
  const leave = button("Sign out", { picture: "leave", look: "bare", onclick: attempt(signOut), hidden: localStorage.getItem("signed-in") !== "yes" });
  fill(document.querySelector(".side-end"), themeButton, button("Keys", { picture: "keys", look: "bare", onclick: showKeys }), leave);
}

async function signOut() {
  await request("/session", { method: "DELETE" });
  await forgetAll();
  localStorage.removeItem("signed-in");
  location.reload();
}

/** Shows in the navigation what waits for a person: open letters, and sources. */
async function countLetters() {
  const { total } = await get("/dead-letters", { state: "open", limit: 1 });
  tell("dead-letters", total, "open");
}

async function countSources() {
  const { sources: all } = await get("/sources");
  tell("sources", all.filter((one) => standing(one)[2]).length, "need you");
}

function tell(place, number, what) {
  const anchor = document.querySelector(`.nav a[data-place="${place}"]`);
  anchor.querySelector(".count")?.remove();
  if (number) anchor.append(h("span", { class: "count" }, count(number), h("span", { class: "hidden-text" }, ` ${what}`)));
}

function showKeys() {
  showDialog("Keys", h("dl", { class: "facts" }, KEYS.map(([keys, does]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, does)])));
}

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key in GO_KEYS && Date.now() < waitsForPlace) {
    location.hash = link([GO_KEYS[event.key]]);
    waitsForPlace = 0;
  } else if (event.key === "g") waitsForPlace = Date.now() + 1500;
  else if (event.key === "?") showKeys();
  else if (event.key === "/") {
    const search = document.querySelector("#search");
    if (search) search.focus();
    else location.hash = link(["gallery"]);
  } else return;
  event.preventDefault();
});

window.addEventListener("hashchange", (event) => {
  // What was asked belongs to the page that is left; what a page writes into its own address leaves nothing.
  if (event.isTrusted) closeAll();
  route();
});
buildFrame();
route();
for (const [news, call] of [["letters", countLetters], ["sources", countSources]]) {
  const showCount = () => call().catch(() => {});
  window.addEventListener(news, showCount); // what a view has decided about some
  repeat(showCount, COUNT_EVERY_MS, new AbortController().signal);
}
