/** Which files have left by a look at a source, or wait for a yes: page by page, each with its picture. */

import { address, get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { count, fileName, plural } from "../core/format.js";
import { REASON_MEANS, REASONS } from "../core/looks.js";
import { link } from "../core/router.js";
import { addRows, badge, button, empty, failure, table, tabs } from "./basics.js";
import { attempt } from "./toast.js";

// Something else stands below: many come when they are asked for.
const FIRST = 12;
const PAGE = 100;
const LOOKS = { moved: "calm", replaced: "calm", excluded: "", gone: "warn" };

/** A card that `update(job)` fills; it is hidden where nothing has left. */
export function leavingCard(signal) {
  const heading = h("h2", {});
  const waysTabs = h("div", {});
  const list = h("div", {});
  const element = h("section", { class: "card", "aria-label": "What has left", hidden: true }, heading, waysTabs, list);
  let job = null;
  let chosen = null; // of the ways, by the person
  let reading = new AbortController();
  signal.addEventListener("abort", () => reading.abort());
  return { element, update };

  function update(next) {
    const ways = waysOf(next);
    element.hidden = ways.length === 0;
    if (element.hidden) return (job = null);
    const same = job && job.job_id === next.job_id && JSON.stringify(job.removals) === JSON.stringify(next.removals);
    if (job?.job_id !== next.job_id) chosen = null;
    job = next;
    if (same) return;
    fill(heading, job.removals.state === "held" ? "The files in question" : "What has left");
    draw();
  }

  function draw() {
    const ways = waysOf(job);
    // What is asked about comes first.
    const way = chosen ?? (job.removals.state === "held" && ways.includes("gone") ? "gone" : "");
    const total = ways.reduce((sum, one) => sum + job.removals[one], 0);
    const options = [["", "All", count(total)], ...ways.map((one) => [one, one, count(job.removals[one])])];
    fill(waysTabs, ways.length > 1 ? tabs("How they left", options, way, (one) => ((chosen = one), draw())) : h("p", { class: "soft" }, `${plural(total, "file")} ${ways[0]}`));
    reading.abort();
    reading = new AbortController();
    show(job, way, reading.signal);
  }

  async function show(of, way, current) {
    const content = table("Files that have left", [["Picture"], ["How"]], []);
    const more = button("Show more files", { onclick: attempt(load) });
    let cursor = null;
    let shown = 0;
    await load();

    async function load() {
      try {
        const page = await get(`/ingest/${encodeURIComponent(of.job_id)}/removals`, { way, limit: cursor ? PAGE : FIRST, cursor }, current);
        addRows(content, page.removals.map((one) => row(of, one)));
        shown += page.removals.length;
        cursor = page.next;
        const focused = document.activeElement === more;
        if (!shown) fill(list, empty("sources", "Which files these are is not known", "An earlier version has counted them, or the list is on its way."));
        else fill(list, content, cursor && h("div", { class: "grid-end" }, more));
        if (focused && cursor) more.focus();
      } catch (error) {
        if (!current.aborted) fill(list, failure(error, load));
      }
    }
  }
}

const waysOf = (job) => REASONS.filter((one) => job?.removals?.[one]);

function row(job, { path, way, to, lost, id }) {
  const isThere = way === "moved" || !lost || job.removals.state === "held" || job.removals.state === "kept";
  const name = fileName(path);
  return h(
    "tr",
    {},
    h(
      "td",
      { class: "wrap" },
      h(
        "div",
        { class: "gone-picture" },
        h("img", { alt: "", loading: "lazy", src: address(`/images/${id}/thumbnail`, { collection: job.collection }), onerror: (event) => event.target.classList.add("missing") }),
        h(
          "div",
          {},
          isThere ? h("a", { class: "clamp", title: name, href: link(["gallery"], { collection: job.collection, image: id }) }, h("strong", {}, name)) : h("strong", { class: "clamp", title: name }, name),
          h("div", { class: "small soft path clamp", title: path }, path),
          to && h("div", { class: "small path clamp", title: to }, "now ", to),
        ),
      ),
    ),
    h("td", { title: REASON_MEANS[way] }, badge(way, LOOKS[way]), h("div", { class: "small soft" }, means(way, lost))),
  );
}

/** What it means for the picture. */
function means(way, lost) {
  if (way === "moved") return "its picture keeps all";
  if (way === "replaced") return "another picture is there now";
  return lost ? "its picture has no other file" : "its picture has another file";
}
