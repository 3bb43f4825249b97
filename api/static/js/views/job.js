/** One job: how it does, and each of its files. */

import { get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { nameOf, originOf } from "../core/jobs.js";
import { FINISHED, OUTCOMES, OUTCOME_MEANS } from "../core/names.js";
import { go, link } from "../core/router.js";
import { addRows, badge, button, empty, failure, pageHead, table, tabs } from "../components/basics.js";
import { follow, jobPanel } from "../components/job-panel.js";
import { leavingCard } from "../components/leaving.js";
import { attempt } from "../components/toast.js";

const PAGE = 100;
const OUTCOME_LOOKS = { stored: "good", cached: "calm", duplicate: "calm", unchanged: "", skipped: "warn", failed: "bad" };

export const title = "Job";

export async function show(root, { path: [jobId], query, signal }) {
  let status = await get(`/ingest/status/${encodeURIComponent(jobId)}`, {}, signal);
  let outcome = query.outcome ?? "";
  let listing = new AbortController();
  const panel = jobPanel();
  const outcomeTabs = h("div", {});
  const files = h("div", {});
  const left = leavingCard(signal);
  const log = h("ol", { class: "log", tabindex: "0", "aria-label": "Log of the job" });
  fill(
    root,
    h(
      "div",
      { class: "page" },
      pageHead(nameOf(status), null, h("a", { class: "button", href: link(["gallery"], { collection: status.collection, sort: "-ingested_at" }) }, "Show the collection"), h("a", { class: "button", href: link(["dead-letters"], { job: jobId, state: "open" }) }, "Dead letters")),
      panel.element,
      left.element,
      h("section", { class: "card", "aria-label": "Files" }, h("h2", {}, "Files"), outcomeTabs, files),
      h(
        "div",
        { class: "two" },
        h("section", { class: "card", "aria-label": "Log" }, h("h2", {}, "Log"), log),
        h("section", { class: "card", "aria-label": "About this job" }, h("h2", {}, "About this job"), h("dl", { class: "facts" }, about(status))),
      ),
    ),
  );
  take(status);
  list();
  follow(jobId, take, signal);
  return {
    update: (next) => {
      outcome = next.outcome ?? "";
      list();
    },
  };

  function take(next) {
    // Many files may change many times a second; the table waits for the end.
    const ended = next.offset !== status.offset && FINISHED.has(next.status);
    status = next;
    panel.update(status);
    left.update(status);
    fill(log, status.logs.length ? status.logs.map((line) => h("li", {}, line)) : h("li", {}, "Nothing yet."));
    log.scrollTop = log.scrollHeight;
    drawTabs();
    if (ended) list();
  }

  function drawTabs() {
    const focused = outcomeTabs.contains(document.activeElement) && [...outcomeTabs.querySelectorAll("button")].indexOf(document.activeElement);
    fill(outcomeTabs, tabs("Outcome", [["", "All", format.count(status.total_files)], ...OUTCOMES.map((one) => [one, one, format.count(status.outcomes[one])])], outcome, (chosen) => go(["jobs", jobId], { outcome: chosen })));
    if (focused !== false) outcomeTabs.querySelectorAll("button")[focused]?.focus();
  }

  function list() {
    listing.abort();
    listing = new AbortController();
    signal.addEventListener("abort", () => listing.abort());
    drawTabs();
    const more = button("Show more", { onclick: attempt(load) });
    let cursor = null;
    const content = table("Files of the job", [["File"], ["Outcome"], ["Reason"]], []);
    let shown = 0;
    const current = listing.signal;
    load();

    async function load() {
      try {
        const page = await get(`/ingest/${encodeURIComponent(jobId)}/files`, { outcome, limit: PAGE, cursor }, current);
        addRows(content, page.files.map(fileRow));
        shown += page.files.length;
        cursor = page.next;
        if (!shown) fill(files, empty("jobs", "No files here", outcome ? `No file of this job is ${outcome}: “${OUTCOME_MEANS[outcome].toLowerCase()}”.` : "None has been found yet."));
        else fill(files, content, cursor && h("div", { class: "grid-end" }, more));
      } catch (error) {
        if (!current.aborted) fill(files, failure(error, list));
      }
    }
  }
}

function fileRow(file) {
  return h("tr", {}, h("td", { class: "path" }, file.path), h("td", {}, file.outcome ? badge(file.outcome, OUTCOME_LOOKS[file.outcome]) : badge("under way")), h("td", { class: "wrap" }, format.without(file.reason || "", file.path)));
}

function about(status) {
  const pairs = [
    ["Job id", h("span", { class: "mono" }, status.job_id)],
    ["Collection", status.collection],
    status.source && ["Source", h("a", { href: link(["sources", status.source]) }, status.source)],
    status.task || status.reread ? ["Files", originOf(status)] : ["Folders", status.sources.length ? h("ul", { class: "plain mono" }, status.sources.map((source) => h("li", {}, source))) : "published to Kafka by a program"],
    ["Model", status.model_id || "—"],
    ["Captions", status.caption ? "asked for" : "not asked for"],
    ["Begun", format.dateTime(status.start_time)],
    ["Ended", format.dateTime(status.end_time)],
  ];
  return pairs.filter(Boolean).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]);
}
