/** How far a collection is that is being embedded anew. */

import { get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { count, plural } from "../core/format.js";
import { link } from "../core/router.js";

/** Draws it into an element: with which model, how far, and where its job is. */
export async function drawAnew(element, job, signal) {
  const { filling, filled, points, gone } = await get(`/collections/${encodeURIComponent(job.collection)}/info`, {}, signal);
  const total = points + gone;
  const share = filling && total ? Math.min(1, filled / total) : null;
  fill(
    element,
    h("p", {}, h("strong", {}, `Is embedded anew by ${filling ?? job.model_id}`)),
    h(
      "div",
      { class: `bar ${share === null ? "unknown" : ""}`, role: "progressbar", "aria-label": `How much of ${job.collection} is embedded anew`, "aria-valuemin": share !== null && 0, "aria-valuemax": share !== null && 100, "aria-valuenow": share !== null && Math.floor(100 * share) },
      h("span", { style: share === null ? {} : { width: `${100 * share}%` } }),
    ),
    h("p", { class: "small soft" }, share === null ? job.message : `${count(filled)} of ${plural(total, "picture")}. Until all are there, what was found before is found.`),
    h("p", { class: "small" }, h("a", { href: link(["jobs", job.job_id]) }, "All about this job")),
  );
}
