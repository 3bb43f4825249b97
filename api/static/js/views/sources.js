/** Sources: folders that are kept in step with a collection, and how each stands. */

import { get, post } from "../core/api.js";
import { opened } from "../core/collections.js";
import { fill, h, keepingFocus, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { isLooking, leftInWords, rhythm, standing } from "../core/looks.js";
import { go, link } from "../core/router.js";
import { badge, button, empty, failure, note, pageHead, said, table, tabs } from "../components/basics.js";
import { askForSource } from "../components/new-source.js";
import { attempt, toast } from "../components/toast.js";

const EVERY_MS = 4000;
const NAMED = 5;

export const title = "Sources";

export async function show(root, { query, signal }) {
  let now = query;
  let sources = null;
  let drawn = "";
  const asking = h("div", { role: "status" });
  const filters = h("div", { class: "row between" });
  const list = h("div", {});
  const search = h("input", { class: "input", id: "search", type: "search", placeholder: "Find a source", "aria-label": "Find a source by its name, folder or collection", oninput: () => go(["sources"], { ...now, find: search.value }, { replace: true }) });
  const stateTabs = h("div", {});
  const add = () => button("Add a folder", { picture: "plus", look: "main", onclick: attempt(ask) });
  fill(filters, stateTabs, h("div", {}, search));
  fill(root, h("div", { class: "page" }, pageHead("Sources", "Folders that are kept in step with a collection: what is new comes in, what has left goes out of it. The files are never touched.", add()), asking, filters, list));
  await repeat(load, EVERY_MS, signal);
  return { update: (next) => ((now = next), draw()) };

  async function ask() {
    const { name, known } = await opened();
    if (!signal.aborted) askForSource(known, name, (added) => (toast(`“${added.name}” is looked at now.`), go(["sources", added.name])));
  }

  async function load() {
    try {
      ({ sources } = await get("/sources", {}, signal));
      draw();
    } catch (error) {
      if (signal.aborted) return;
      drawn = "";
      if (sources === null) fill(list, failure(error, load));
      else fill(asking, failure(error, load));
    }
  }

  function draw() {
    if (sources === null) return;
    const text = JSON.stringify([sources, now]);
    if (text === drawn) return;
    drawn = text;
    const waiting = sources.filter((one) => standing(one)[2]);
    filters.hidden = sources.length === 0;
    if (search.value !== (now.find || "")) search.value = now.find || "";
    keepingFocus(stateTabs, () => fill(stateTabs, tabs("State", [["", "All", format.count(sources.length)], ["waiting", "Need you", format.count(waiting.length)]], now.state || "", (state) => go(["sources"], { ...now, state }))));
    keepingFocus(asking, () => fill(asking, waiting.length > 0 && now.state !== "waiting" && needYou(waiting)));
    const shown = (now.state === "waiting" ? waiting : sources).filter((one) => isFound(one, now.find));
    keepingFocus(list, () => fill(list, shown.length ? table("Sources", [["Source"], ["State"], ["Collection"], ["Looked at"], [""]], shown.map(row)) : nothing()));
  }

  function nothing() {
    if (!sources.length) return empty("sources", "No folder is kept in step yet", "Add one: its photographs are taken in now, and what comes, changes, moves or goes is followed from then on.", add());
    if (now.state === "waiting" && !now.find) return empty("good", "Nothing waits for you", "No removals are held, and every last look went well.");
    return empty("search", "No source matches", "Take a filter away.");
  }

  function needYou(waiting) {
    const more = waiting.length - NAMED;
    const named = waiting.slice(0, NAMED).map((one, index) => [index > 0 && ", ", h("a", { href: link(["sources", one.name]) }, one.name)]);
    return note(`${format.plural(waiting.length, "source needs", "sources need")} you: `, "warn", named, more > 0 && [" and ", h("a", { href: link(["sources"], { state: "waiting" }) }, `${format.count(more)} more`)]);
  }

  function row(source) {
    const { name, last_job: job } = source;
    const where = link(["sources", name]);
    const [state, look] = standing(source);
    const left = leftInWords(job?.removals);
    return h(
      "tr",
      { class: "link", onclick: (event) => event.target.closest("a, button") || (location.hash = where) },
      h("td", { class: "wrap" }, h("a", { href: where }, name), h("div", { class: "small soft clamp", title: source.folder }, source.folder)),
      h("td", { class: "wrap" }, badge(state, look), h("div", { class: "small soft" }, saying(source, left))),
      h("td", { class: "short" }, h("a", { href: link(["gallery"], { collection: source.collection }) }, source.collection)),
      h("td", { class: "when" }, job ? format.dateTime(job.start_time) : "never", h("div", { class: "small soft" }, rhythm(source)), source.next_at && h("div", { class: "small soft" }, `next ${format.dateTime(source.next_at)}`)),
      h("td", {}, button(`Look at ${name} now`, { picture: "retry", square: true, disabled: isLooking(job), onclick: attempt(() => look(name)) })),
    );
  }

  async function look(name) {
    await post(`/sources/${encodeURIComponent(name)}/sync`);
    toast(`“${name}” is looked at.`);
    await load();
  }
}

/** What stands under the state of a source in the list. */
function saying({ last_job: job, watching }, left) {
  if (!job) return "";
  if (job.removals?.state === "guarded") return said(job.removals.reason ?? "");
  if (job.status === "failed") return job.message;
  if (watching?.state !== "watching" && watching?.reason) return watching.reason;
  if (isLooking(job)) return job.total_files ? `${format.count(job.processed_files)} of ${format.count(job.total_files)}${job.total_known ? "" : "+"} files` : "";
  return left;
}

function isFound(source, text) {
  const wanted = (text || "").toLowerCase();
  return [source.name, source.folder, source.collection].some((part) => part.toLowerCase().includes(wanted));
}
