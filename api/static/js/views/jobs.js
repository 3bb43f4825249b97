/** The history of jobs. */

import { get } from "../core/api.js";
import { fill, h, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { nameOf, originOf } from "../core/jobs.js";
import { FINISHED } from "../core/names.js";
import { go, link } from "../core/router.js";
import { button, empty, failure, pageHead, select, stateBadge, table, tabs } from "../components/basics.js";
import { attempt } from "../components/toast.js";

const EVERY_MS = 4000;
const PAGE = 100;
const STATES = [
  ["", "All"],
  ["running", "Under way"],
  ["errors", "With failures"],
  ["completed", "Completed"],
  ["cancelled", "Cancelled"],
];

export const title = "Jobs";

export async function show(root, { query, signal }) {
  let now = query;
  let jobs = [];
  let pages = 1;
  let following = null;
  let asked = 0;
  const names = new Set();
  const more = button("Show more", { onclick: attempt(() => ((pages += 1), load())) });
  const filters = h("div", { class: "row between" });
  const list = h("div", {});
  const search = h("input", { class: "input", id: "search", type: "search", placeholder: "Folder or job id", "aria-label": "Find a job by its folder or id", oninput: () => go(["jobs"], { ...now, find: search.value }, { replace: true }) });
  fill(root, h("div", { class: "page" }, pageHead("Jobs", "The newest first.", h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")), filters, list));
  await repeat(load, EVERY_MS, signal);
  return { update: (next) => ((now = next), (pages = 1), drawFilters({ anew: true }), load()) };

  async function load() {
    const turn = ++asked;
    try {
      const found = [];
      let cursor = null;
      for (let page = 0; page < pages && (cursor || !page); page++) {
        const answer = await get("/ingest/recent_jobs", { limit: PAGE, cursor, find: now.find, collection: now.collection, show: now.state }, signal);
        found.push(...answer.jobs);
        cursor = answer.next;
      }
      if (turn !== asked) return; // the filters have changed meanwhile
      [jobs, following] = [found, cursor];
      for (const job of jobs) names.add(job.collection);
      drawFilters();
      draw();
    } catch (error) {
      if (!signal.aborted && !jobs.length) fill(list, failure(error, load));
    }
  }

  function drawFilters({ anew = false } = {}) {
    const focused = document.activeElement === search;
    // Drawn every few seconds: not under the hands of someone who chooses.
    if (!anew && filters.contains(document.activeElement) && !focused) return;
    if (search.value !== (now.find || "")) search.value = now.find || "";
    if (now.collection) names.add(now.collection);
    const collection = select([["", "All collections"], ...[...names].sort().map((name) => [name, name])], now.collection || "", { "aria-label": "Collection", onchange: (event) => go(["jobs"], { ...now, collection: event.target.value }) });
    fill(filters, tabs("State", STATES, now.state || "", (state) => (document.activeElement.blur(), go(["jobs"], { ...now, state }))), h("div", { class: "row" }, h("div", {}, search), h("div", {}, collection)));
    if (focused) search.focus();
  }

  function draw() {
    if (jobs.length) drawJobs();
    else if (now.find || now.collection || now.state) fill(list, empty("search", "No job matches", "Take a filter away."));
    else fill(list, empty("jobs", "No jobs yet", "A job is a folder, an upload, or what another program publishes. Each of its files ends in one outcome that you can look up here.", h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")));
  }

  function drawJobs() {
    const scrolled = list.querySelector(".table-wrap")?.scrollLeft ?? 0;
    const onMore = document.activeElement === more;
    const focus = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(list, table("Jobs", [["Job"], ["State"], ["Collection"], ["Files", "number"], ["Failed", "number"], ["Begun"], ["Took", "number"]], jobs.map(row)), following ? more : "");
    list.querySelector(".table-wrap").scrollLeft = scrolled;
    if (onMore) more.focus();
    if (focus) list.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
  }
}

function row(job) {
  const where = link(["jobs", job.job_id]);
  return h(
    "tr",
    { class: "link", onclick: (event) => event.target.closest("a") || (location.hash = where) },
    h("td", { class: "wrap" }, h("a", { href: where }, nameOf(job)), h("div", { class: "small soft clamp", title: originOf(job) }, originOf(job))),
    h("td", {}, stateBadge(job.status), h("div", { class: "small soft" }, job.waiting_for ? `waits for ${job.waiting_for}` : job.stalled ? `stalled: ${job.stalled}` : "")),
    h("td", { class: "short" }, job.collection),
    h("td", { class: "number" }, FINISHED.has(job.status) ? format.count(job.total_files) : `${format.count(job.processed_files)} / ${format.count(job.total_files)}`),
    h("td", { class: "number" }, format.count(job.failed_files)),
    h("td", { class: "when" }, format.dateTime(job.start_time)),
    h("td", { class: "number" }, format.between(job.start_time, job.end_time)),
  );
}
