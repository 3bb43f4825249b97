/** Sources in words: how one stands, and what its looks have found to have left. */

import { count, plural } from "./format.js";
import { FINISHED } from "./names.js";

/** Why files have left, in the order in which they are told. */
export const REASONS = ["moved", "replaced", "excluded", "gone"];

export const REASON_MEANS = {
  moved: "The file lies elsewhere in the source; its picture keeps all",
  replaced: "The path holds another picture now",
  excluded: "A pattern leaves it out now",
  gone: "It is not there any more",
};

const UNITS = [["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** 21600 -> "every 6 hours" */
export function every(seconds) {
  if (!seconds) return "when you ask";
  const [unit, size] = UNITS.find(([, length]) => seconds % length === 0);
  return seconds === size ? `every ${unit}` : `every ${plural(seconds / size, unit)}`;
}

/** How a source is looked at by itself, in words: watched, by schedule, or both. */
export function rhythm({ every_seconds: seconds, watch, watching, paused }) {
  if (paused) return "paused";
  if (!watch) return every(seconds);
  const schedule = seconds ? `, and ${every(seconds)}` : "";
  if (watching?.state === "by_schedule") return every(watching.every_seconds ?? seconds);
  return `as it changes${schedule}`;
}

/** Whether a look is under way: its files, or behind them what has left. */
export const isLooking = (job) => Boolean(job) && (!FINISHED.has(job.status) || ["looking", "counting", "removing"].includes(job.removals?.state));

/** How a source stands: [its state in a word or two, its look, whether a person is to do something]. */
export function standing({ last_job: job, questions, paused, watching }) {
  if (isLooking(job)) return FINISHED.has(job.status) ? ["looks for what has left", "calm", false] : [job.paused ? "look paused" : "is looked at", "calm", false];
  if (questions.length) return ["asks you", "warn", true];
  if (job?.status === "failed") return ["last look failed", "bad", true];
  if (job?.removals?.state === "guarded") return ["nothing removed", "warn", true];
  if (job?.removals?.code === "link-away") return ["not all looked at", "warn", true];
  if (paused) return ["paused", "", false];
  if (job?.status === "cancelled") return ["last look cancelled", "warn", false];
  if (job?.failed_files) return [`${plural(job.failed_files, "file")} failed`, "warn", false];
  if (watching?.state === "watching") return ["watched", "good", false];
  if (watching?.state === "not_possible") return ["cannot be watched", "warn", false];
  return job ? ["in step", "good", false] : ["not looked at yet", "", false];
}

/** Whether what is there now may be taken for right: another disk, at the folder or behind a link in it. */
export const mayAccept = (removals) => ["other-mount", "link-away"].includes(removals?.code);

/** "moved 4, gone 1"; empty where nothing has left. */
export const leftInWords = (removals) => REASONS.filter((reason) => removals?.[reason]).map((reason) => `${reason} ${count(removals[reason])}`).join(", ");

/** What became of what a look found to have left, by the state of its removals. */
export const BECAME = {
  looking: "What has left is looked for",
  counting: "What has left is counted",
  removing: "What has left is taken out",
  none: "Nothing has left",
  removed: "Taken out",
  held: "Waits for you",
  kept: "Kept, as you said",
  overtaken: "Nobody answered; a newer look has asked",
  guarded: "Nothing was removed",
};
