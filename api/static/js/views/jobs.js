/** The history of jobs. */

import { get } from "../core/api.js";
import { fill, h, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { FINISHED } from "../core/names.js";
import { go, link } from "../core/router.js";
import { empty, failure, pageHead, select, stateBadge, table, tabs } from "../components/basics.js";

const EVERY_MS = 4000;
const MOST = 200;
const STATES = [
  ["", "All", () => true],
  ["running", "Under way", (job) => !FINISHED.has(job.status)],
  ["errors", "With failures", (job) => job.failed_files > 0 || job.status === "failed"],
  ["completed", "Completed", (job) => job.status === "completed"],
  ["cancelled", "Cancelled", (job) => job.status === "cancelled"],
];

export const title = "Jobs";

export async function show(root, { query, signal }) {
  let now = query;
  let jobs = [];
  const filters = h("div", { class: "row between" });
  const list = h("div", {});
  const search = h("input", { class: "input", id: "search", type: "search", placeholder: "Folder or job id", "aria-label": "Find a job by its folder or id", value: now.find || "", oninput: () => go(["jobs"], { ...now, find: search.value }, { replace: true }) });
  fill(root, h("div", { class: "page" }, pageHead("Jobs", `The ${MOST} latest, the newest first.`, h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")), filters, list));
  await repeat(load, EVERY_MS, signal);
  return { update: (next) => ((now = next), draw()) };

  async function load() {
    try {
      jobs = (await get("/ingest/recent_jobs", { limit: MOST }, signal)).jobs;
      draw();
    } catch (error) {
      if (!signal.aborted && !jobs.length) fill(list, failure(error, load));
    }
  }

  function draw() {
    const names = [...new Set(jobs.map((job) => job.collection))].sort();
    const collection = select([["", "All collections"], ...names.map((name) => [name, name])], now.collection || "", { "aria-label": "Collection", onchange: (event) => go(["jobs"], { ...now, collection: event.target.value }) });
    const isOf = (job) => (!now.collection || job.collection === now.collection) && matches(job, now.find);
    const chosen = STATES.find(([key]) => key === (now.state || "")) || STATES[0];
    // Drawn anew every few seconds: not under the hands of someone who chooses.
    if (!filters.contains(document.activeElement) || document.activeElement === search) {
      const focused = document.activeElement === search;
      fill(filters, tabs("State", STATES.map(([key, text, test]) => [key, text, jobs.filter((job) => isOf(job) && test(job)).length]), now.state || "", (state) => (document.activeElement.blur(), go(["jobs"], { ...now, state }))), h("div", { class: "row" }, h("div", {}, search), h("div", {}, collection)));
      if (focused) search.focus();
    }
    const shown = jobs.filter((job) => isOf(job) && chosen[2](job));
    if (!jobs.length) fill(list, empty("jobs", "No jobs yet", "A job is a folder, an upload, or what another program publishes. Each of its files ends in one outcome that you can look up here.", h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")));
    else if (!shown.length) fill(list, empty("search", "No job matches", "Take a filter away."));
    else {
      const scrolled = list.querySelector(".table-wrap")?.scrollLeft ?? 0;
      const focus = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      fill(list, table("Jobs", [["Job"], ["State"], ["Collection"], ["Files", "number"], ["Failed", "number"], ["Begun"], ["Took", "number"]], shown.map(row)));
      list.querySelector(".table-wrap").scrollLeft = scrolled;
      if (focus) list.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
    }
  }
}

function row(job) {
  const where = link(["jobs", job.job_id]);
  const name = job.sources.length ? job.sources.map(format.fileName).join(", ") : job.job_id;
  return h(
    "tr",
    { class: "link", onclick: (event) => event.target.closest("a") || (location.hash = where) },
    h("td", { class: "wrap" }, h("a", { href: where }, name), h("div", { class: "small soft" }, job.sources[0] || "published to Kafka")),
    h("td", {}, stateBadge(job.status), h("div", { class: "small soft" }, job.waiting_for ? `waits for ${job.waiting_for}` : job.stalled ? "stalled" : "")),
    h("td", {}, job.collection),
    h("td", { class: "number" }, FINISHED.has(job.status) ? format.count(job.total_files) : `${format.count(job.processed_files)} / ${format.count(job.total_files)}`),
    h("td", { class: "number" }, format.count(job.failed_files)),
    h("td", {}, format.dateTime(job.start_time)),
    h("td", { class: "number" }, format.between(job.start_time, job.end_time)),
  );
}

function matches(job, text) {
  const wanted = (text || "").toLowerCase();
  return !wanted || job.job_id.toLowerCase().includes(wanted) || job.sources.some((source) => source.toLowerCase().includes(wanted));
}
