/** What has left by a look at a source: the question where a person is asked, and the reason where nothing was removed. */

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { plural } from "../core/format.js";
import { leftInWords, mayAccept } from "../core/looks.js";
import { button, note, said } from "./basics.js";
import { ask } from "./dialog.js";
import { attempt, toast } from "./toast.js";

/** The question about removals that are held, with its yes and no; `ondone` is called after an answer. */
export function question(job, ondone = () => {}) {
  const { removals } = job;
  const decide = async (command, told) => {
    await post(`/ingest/${encodeURIComponent(job.job_id)}/${command}`);
    toast(told);
    ondone();
  };
  const yes = attempt(async () => {
    const text = "No file is touched. These pictures are in no list and no search then; if their files come back, so do they.";
    if (await ask(`Take ${plural(removals.lost, "picture")} out of “${job.collection}”?`, text, "Take them out", { danger: true })) await decide("confirm", "They are taken out.");
  });
  const no = attempt(() => decide("keep", "Nothing is removed. The next look asks again."));
  return note(
    h("strong", {}, `Are these ${plural(removals.lost, "picture")} to go?`),
    "warn",
    h("p", {}, `Not removed yet, as ${removals.reason ?? `${plural(removals.lost, "picture")} would leave the collection`}. Found to have left: ${leftInWords(removals)}.`),
    h("p", { class: "soft" }, "If a disk is only away, or a folder is about to come back, keep them."),
    h("div", { class: "buttons" }, button("No, keep them", { picture: "undo", onclick: no }), button("Yes, take them out", { picture: "trash", look: "danger", onclick: yes })),
  );
}

/** Why nothing was removed, or not everywhere; where another mount is the reason, with the button that takes it for right. */
export function guard(job, ondone = () => {}) {
  const { reason, state } = job.removals;
  const accept = attempt(async () => {
    const text = `What the folder is on now is taken for right from the next look on, which comes at once: what is not there is gone then. Say yes if you know this disk.`;
    if (!(await ask(`Accept this mount for “${job.source}”?`, text, "Accept this mount"))) return;
    await post(`/sources/${encodeURIComponent(job.source)}/accept`);
    toast(`“${job.source}” is looked at with this mount.`);
    ondone();
  });
  return note(
    h("strong", {}, state === "guarded" ? "Nothing was removed" : "Not all of it was looked at"),
    "warn",
    h("p", {}, said(`${capital(reason ?? "a guard says so")}.`)),
    mayAccept(job.removals) && h("div", { class: "buttons" }, button("Accept this mount", { picture: "check", onclick: accept })),
  );
}

/** What a person is to know of a look beyond its numbers; null where there is nothing. */
export function asks(job, ondone) {
  if (job?.removals?.state === "held") return question(job, ondone);
  if (job?.removals?.state === "guarded" || mayAccept(job?.removals)) return guard(job, ondone);
  return null;
}

const capital = (text) => (text.startsWith("/") ? text : text.charAt(0).toUpperCase() + text.slice(1));
