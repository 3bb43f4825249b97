/** How a job does: its progress by stage, what it waits for, and what can be done about it. */

import { address, get, post } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { BECAME, isLooking } from "../core/looks.js";
import { FINISHED, OUTCOMES, OUTCOME_MEANS, STAGES } from "../core/names.js";
import { button, note, stateBadge } from "./basics.js";
import { ask } from "./dialog.js";
import { asks } from "./removals.js";
import { attempt, toast } from "./toast.js";

const AGAIN_MS = 3000;
const SERVICES = { ml: "the ML service", qdrant: "Qdrant" };

/** Calls `take(status)` with each news of a job until the signal ends it: a finished one may run failed files again. */
export function follow(jobId, take, signal) {
  const name = encodeURIComponent(jobId);
  let stream;
  const later = () => signal.aborted || setTimeout(look, AGAIN_MS);
  const listen = () => {
    stream = new EventSource(address(`/ingest/${name}/events`));
    stream.addEventListener("status", (event) => {
      const status = JSON.parse(event.data);
      take(status);
      if (FINISHED.has(status.status)) {
        stream.close();
        later();
      }
    });
    stream.addEventListener("error", () => {
      // It ends at a restart, or without a session: an ordinary request finds out, and asks for the key.
      stream.close();
      later();
    });
  };
  const look = async () => {
    try {
      const status = document.hidden ? null : await get(`/ingest/status/${name}`, {}, signal);
      if (status) take(status);
      if (status && !FINISHED.has(status.status)) listen();
      else later();
    } catch {
      later();
    }
  };
  signal.addEventListener("abort", () => stream?.close());
  listen();
}

/** What a job did not take in, in a line each, as the commands say it. */
function notTakenLines(job) {
  const lines = [];
  const kinds = Object.entries(job.skipped_kinds ?? {}).sort(([one, many], [other, few]) => few - many || one.localeCompare(other));
  if (kinds.length) lines.push(`${format.plural(job.outcomes.skipped, "file")} skipped: ${kinds.map(([kind, files]) => `${kind} ${format.count(files)}`).join(", ")}`);
  if (job.left_out) lines.push(`left out: ${job.left_out.more ? "more than " : ""}${format.plural(job.left_out.files, "file")} in ${format.plural(job.left_out.folders, "folder")}`);
  return lines;
}

/** The panel; `update(status)` draws it anew. Screen readers hear of changes of state, not of each file. */
export function jobPanel() {
  const state = h("span", { role: "status" });
  const message = h("span", { class: "soft grow" });
  const controls = h("div", { class: "buttons" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
  const figures = h("div", { class: "figures" });
  const outcomes = h("div", { class: "outcomes" });
  const notTaken = h("div", { class: "small soft" });
  const stages = h("div", { class: "stages" });
  const notes = h("div", { role: "status" });
  const left = h("div", { class: "body-parts", role: "status" });
  const element = h("section", { class: "card", "aria-label": "Progress of the job" }, h("div", { class: "row" }, state, message, controls), bar, notes, left, figures, stages, outcomes, notTaken);
  let shownState = "";
  let shownNotes = "";
  let shownLeft = "";
  return { element, update };

  function update(job) {
    const finished = FINISHED.has(job.status);
    const looks = `${job.status} ${job.cancelling} ${job.failed_files > 0}`;
    if (looks !== shownState) {
      shownState = looks;
      fill(state, stateBadge(job.status), job.cancelling && " cancelling");
      fill(controls, actions(job));
    }
    message.textContent = job.message;
    drawBar(job, finished);
    drawNotes(job);
    drawLeft(job);
    fill(
      figures,
      figure(job.total_known ? `${format.count(job.processed_files)} of ${format.count(job.total_files)}` : `${format.count(job.processed_files)} of ${format.count(job.total_files)}+`, "files done"),
      !finished && figure(format.rate(job.rate), "speed"),
      !finished && figure(job.eta_seconds === null ? (job.total_known ? "—" : "counting …") : format.duration(job.eta_seconds), "left"),
      figure(format.between(job.start_time, job.end_time), finished ? "took" : "so far"),
      figure(format.count(job.ml_images_sent), "images sent to ML"),
    );
    fill(outcomes, OUTCOMES.map((outcome) => h("span", { title: OUTCOME_MEANS[outcome] }, h("span", { class: `outcome-dot of-${outcome}` }), `${format.count(job.outcomes[outcome])} ${outcome}`)));
    fill(notTaken, notTakenLines(job).map((line) => h("div", {}, line)));
    fill(stages, STAGES.map((name) => stage(name, job.stages[name] ?? { done: 0, in_flight: 0 }, finished)));
  }

  function drawBar(job, finished) {
    const unknown = !job.total_known && !finished;
    bar.classList.toggle("unknown", unknown);
    if (unknown) {
      bar.removeAttribute("aria-valuenow");
      if (bar.childElementCount !== 1) fill(bar, h("span"));
      bar.firstChild.className = "";
      bar.firstChild.style.width = "";
      return;
    }
    bar.setAttribute("aria-valuenow", String(job.progress));
    if (bar.childElementCount !== OUTCOMES.length) fill(bar, OUTCOMES.map((outcome) => h("span", { class: `of-${outcome}` })));
    OUTCOMES.forEach((outcome, index) => (bar.children[index].style.width = `${job.total_files ? (100 * job.outcomes[outcome]) / job.total_files : 0}%`));
  }

  function drawNotes(job) {
    const text = job.waiting_for
      ? `Waits for ${SERVICES[job.waiting_for]}. Nothing is lost: the job goes on by itself when it is back.`
      : job.stalled
        ? `Stalled: ${job.stalled}.`
        : "";
    if (text === shownNotes) return;
    shownNotes = text;
    fill(notes, text && note(text, "warn"));
  }

  /** What a look at a source has found to have left. */
  function drawLeft(job) {
    const text = JSON.stringify([job.removals, FINISHED.has(job.status)]);
    if (text === shownLeft) return;
    shownLeft = text;
    fill(left, job.removals && FINISHED.has(job.status) && (isLooking(job) ? h("p", {}, `${BECAME[job.removals.state]}.`) : asks(job)));
  }

  function actions(job) {
    const send = (command, told) =>
      attempt(async () => {
        await post(`/ingest/${encodeURIComponent(job.job_id)}/${command}`);
        toast(told);
      });
    if (!FINISHED.has(job.status)) {
      return [
        job.status === "paused" ? button("Resume", { picture: "play", onclick: send("resume", "The job goes on.") }) : button("Pause", { picture: "pause", onclick: send("pause", "The scan is paused; what was found already goes on."), disabled: job.cancelling }),
        button("Cancel", {
          picture: "close",
          look: "danger",
          disabled: job.cancelling,
          onclick: attempt(async () => {
            if (!(await ask("Cancel this job?", "What has not begun is skipped. What is stored already stays.", "Cancel the job", { danger: true }))) return;
            await send("cancel", "The job is being cancelled.")();
          }),
        }),
      ];
    }
    if (job.failed_files > 0 && job.status !== "cancelled") {
      return [
        button("Run failed again", {
          picture: "retry",
          onclick: attempt(async () => {
            const decided = await post(`/ingest/${encodeURIComponent(job.job_id)}/retry-failed`);
            window.dispatchEvent(new Event("letters"));
            toast(decided.done ? `${format.plural(decided.done, "file")} begin again.` : `Nothing was begun again: ${decided.refusals[0]?.reason ?? "no open dead letter is left."}`);
          }),
        }),
      ];
    }
    return [];
  }
}

function figure(value, name) {
  return h("div", { class: "figure" }, h("b", {}, value), h("span", {}, name));
}

function stage(name, gauge, finished) {
  const busy = gauge.in_flight > 0 && !finished;
  return h("div", { class: `stage ${busy ? "busy" : ""}` }, h("h3", {}, name), h("span", { class: "done" }, format.count(gauge.done)), h("span", { class: "left" }, busy ? `${format.count(gauge.in_flight)} waiting` : "nothing waits"));
}
