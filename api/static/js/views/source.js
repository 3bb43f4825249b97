/** One source: how it stands, what it asks, and what its last looks have found. */

import { get, post, request } from "../core/api.js";
import { collections } from "../core/collections.js";
import { fill, h, keepingFocus, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { BECAME, isLooking, REASON_MEANS, REASONS, rhythm, standing } from "../core/looks.js";
import { FINISHED } from "../core/names.js";
import { go, link } from "../core/router.js";
import { badge, button, empty, failure, note, pageHead, stateBadge, table } from "../components/basics.js";
import { leavingCard } from "../components/leaving.js";
import { askToChange } from "../components/new-source.js";
import { askRemoving } from "../components/parting.js";
import { asks, question } from "../components/removals.js";
import { attempt, toast } from "../components/toast.js";

const EVERY_MS = 2000;
const LOOKS = 20;

export const title = "Source";

export async function show(root, { path: [name], signal }) {
  const at = `/sources/${encodeURIComponent(name)}`;
  let pages = 1;
  let drawn = "";
  let isGoing = false;
  const actions = h("div", { class: "buttons" });
  const state = h("section", { class: "card", "aria-label": "How it stands" });
  const facts = h("section", { class: "card", "aria-label": "What it is" });
  const looks = h("section", { class: "card", "aria-label": "The last looks" });
  const problem = h("div", {});
  const left = leavingCard(signal);
  const gone = h("span", {}, "—");
  const more = button("Show more", { onclick: attempt(() => ((pages += 1), load())) });
  await get(at, {}, signal); // it is said where there is none
  fill(root, h("div", { class: "page" }, pageHead(name, h("a", { href: link(["sources"]) }, "All sources"), actions), problem, state, left.element, h("div", {}, facts), looks));
  await repeat(load, EVERY_MS, signal);
  return { update: () => {} };

  async function load() {
    if (isGoing) return;
    try {
      const [source, found] = await Promise.all([get(at, {}, signal), recent()]);
      fill(problem);
      const text = JSON.stringify([source, found]);
      if (text !== drawn) draw(source, found);
      drawn = text;
    } catch (error) {
      if (!signal.aborted) fill(problem, failure(error, load));
    }
  }

  async function recent() {
    const jobs = [];
    let cursor = null;
    for (let page = 0; page < pages && (cursor || !page); page++) {
      const answer = await get("/ingest/recent_jobs", { source: name, limit: LOOKS, cursor }, signal);
      jobs.push(...answer.jobs);
      cursor = answer.next;
    }
    return { jobs, next: cursor };
  }

  function draw(source, { jobs, next }) {
    const job = source.last_job;
    countGone(source.collection).catch(() => fill(gone, "—"));
    keepingFocus(actions, () => fill(actions, actionsOf(source)));
    keepingFocus(state, () => fill(state, stateOf(source, job)));
    left.update(source.questions[0] ?? job);
    fill(facts, h("h2", {}, "What it is"), h("dl", { class: "facts" }, factsOf(source).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])));
    keepingFocus(looks, () => fill(looks, h("h2", {}, "The last looks"), jobs.length ? looksTable(jobs) : empty("sources", "Not looked at yet", "The first look comes at once, unless the source is paused."), next && h("div", { class: "grid-end" }, more)));
  }

  async function countGone(collection) {
    // Not asked of the collection itself, which is not there before the first look.
    const count = (await collections()).find((one) => one.name === collection)?.gone;
    keepingFocus(gone, () => fill(gone, count ? h("a", { href: link(["gone"], { collection }) }, `${format.plural(count, "picture")} of “${collection}”`) : "none"));
  }

  function actionsOf(source) {
    const send = (what, told) => attempt(async () => {
      await post(`${at}/${what}`);
      toast(told);
      await changed();
    });
    return [
      button("Look now", { picture: "retry", look: "main", disabled: isLooking(source.last_job), onclick: send("sync", `“${name}” is looked at.`) }),
      source.paused ? button("Resume", { picture: "play", onclick: send("resume", "It is looked at by itself again, and now.") }) : button("Pause", { picture: "pause", onclick: send("pause", "It is looked at when you ask, and not by itself.") }),
      button("Change", { picture: "edit", onclick: () => askToChange(source, attempt(async () => (toast(source.paused ? "It is changed." : "It is changed, and looked at anew."), await changed()))) }),
      button("Remove", { picture: "trash", look: "danger", onclick: attempt(() => remove(source)) }),
    ];
  }

  async function changed() {
    window.dispatchEvent(new Event("sources"));
    await load();
  }

  async function remove(source) {
    const answer = await askRemoving(source);
    if (!answer) return;
    isGoing = true; // nobody asks for what is there no more
    try {
      await request(at, { method: "DELETE", query: { forget: answer.forget || "" } });
    } catch (error) {
      isGoing = false;
      throw error;
    }
    window.dispatchEvent(new Event("sources"));
    toast(answer.forget ? `“${name}” is removed, and its pictures are being forgotten.` : `“${name}” is removed. Its pictures stay.`);
    go(["sources"]);
  }

  function stateOf(source, job) {
    const [text, look] = standing(source);
    return [
      h("div", { class: "row" }, h("span", { role: "status" }, badge(text, look)), h("span", { class: "soft grow" }, saying(job)), job && h("a", { class: "button", href: link(["jobs", job.job_id]) }, isLooking(job) ? "Watch this look" : "All about the last look")),
      isLooking(job) && progress(job),
      job?.waiting_for && note(`Waits for ${job.waiting_for === "ml" ? "the ML service" : "Qdrant"}. It goes on by itself when that is back.`, "warn"),
      source.questions.map((one, index) => [question(one, attempt(changed)), index > 0 && h("p", {}, h("a", { href: link(["jobs", one.job_id]) }, "The files in question"))]),
      job && job.removals?.state !== "held" && asks(job, attempt(changed)),
      source.watching?.reason && note(source.watching.reason, source.watching.state === "watching" ? "" : "warn"),
      job?.removals?.unread > 0 && note(`${format.plural(job.removals.unread, "path")} could not be read. Nothing of that is taken for gone.`, "warn"),
    ];
  }

  function factsOf(source) {
    return [
      ["Folder", h("span", { class: "mono" }, source.folder)],
      ["Collection", h("a", { href: link(["gallery"], { collection: source.collection }) }, source.collection)],
      ["Looked at", source.paused ? `when you ask: it is paused (else ${rhythm({ ...source, paused: false })})` : rhythm(source)],
      source.watching?.state === "watching" && ["Watched", format.plural(source.watching.folders, "folder")],
      ["Last time", source.last_job ? format.dateTime(source.last_job.start_time) : "never"],
      ["Next time", source.next_at ? format.dateTime(source.next_at) : "when you ask"],
      source.exclude.length > 0 && ["Left out", h("ul", { class: "plain mono" }, source.exclude.map((pattern) => h("li", {}, pattern)))],
      ["Captions", source.caption ? "asked for" : "not asked for"],
      ["Gone pictures", gone],
    ].filter(Boolean);
  }
}

/** What its last look says beside its state: where it asks something, that says the rest. */
function saying(job) {
  if (!job) return "Nobody has looked at it yet.";
  return ["held", "guarded"].includes(job.removals?.state) && FINISHED.has(job.status) ? `${format.plural(job.total_files, "file")} looked at.` : job.message;
}

function progress(job) {
  const known = job.total_known && job.total_files > 0 && !job.removals?.state;
  const share = known ? job.processed_files / job.total_files : 0;
  return h(
    "div",
    { class: `bar ${known ? "" : "unknown"}`, role: "progressbar", "aria-label": "Progress of the look", "aria-valuemin": known && 0, "aria-valuemax": known && 100, "aria-valuenow": known && Math.floor(100 * share) },
    h("span", { style: known ? { width: `${100 * share}%` } : {} }),
  );
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

function looksTable(jobs) {
  return table("The last looks", [["Begun"], ["State"], ["Files", "number"], ["New", "number"], ...REASONS.map((reason) => [capital(reason), "number"]), ["What became of it"]], jobs.map(lookRow));
}

function lookRow(job) {
  const { outcomes, removals } = job;
  const number = (value) => h("td", { class: "number" }, value ? format.count(value) : "");
  return h(
    "tr",
    {},
    h("td", {}, h("a", { href: link(["jobs", job.job_id]) }, format.dateTime(job.start_time))),
    h("td", {}, stateBadge(job.status)),
    number(job.total_files),
    number(outcomes.stored + outcomes.cached + outcomes.duplicate),
    REASONS.map((reason) => h("td", { class: "number", title: REASON_MEANS[reason] }, removals?.[reason] ? format.count(removals[reason]) : "")),
    h("td", { class: "wrap" }, job.status === "failed" ? job.message : BECAME[removals?.state], job.status !== "failed" && removals?.reason && h("div", { class: "small soft" }, removals.reason.replaceAll("`", ""))),
  );
}
