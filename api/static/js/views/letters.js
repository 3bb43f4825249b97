/** What could not be done, why, and trying it again. */

import { address, get, post } from "../core/api.js";
import { fill, h, settled } from "../core/dom.js";
import * as format from "../core/format.js";
import { letterLook, STAGES } from "../core/names.js";
import { go, here, link } from "../core/router.js";
import { addRows, badge, button, check, empty, failure, note, pageHead, select, table, tabs } from "../components/basics.js";
import { ask, show as showDialog } from "../components/dialog.js";
import { attempt, toast } from "../components/toast.js";

const PAGE = 100;
const TYPED_MS = 400;
const STATES = [["open", "Open"], ["replayed", "Replayed"], ["dropped", "Dropped"], ["all", "All"]];

export const title = "Dead letters";

export async function show(root, { query, signal }) {
  let now = query;
  let listing = new AbortController();
  let opened = null;
  const chosen = new Map();
  const errors = new Set();
  const stateTabs = h("div", {});
  const errorClass = h("input", { class: "input", list: "error-classes", placeholder: "Any error", "aria-label": "Error class", oninput: () => typed() });
  const known = h("datalist", { id: "error-classes" });
  const stage = select([["", "Any stage"], ...[...STAGES, "track"].map((name) => [name, name])], "", { "aria-label": "Stage", onchange: () => go(["dead-letters"], { ...now, stage: stage.value }) });
  const job = h("input", { class: "input", placeholder: "Any job", "aria-label": "Job id", oninput: () => typed() });
  const typed = settled(() => go(["dead-letters"], { ...now, error: errorClass.value.trim(), job: job.value.trim() }, { replace: true }), TYPED_MS, signal);
  const bulk = h("div", { class: "selection", role: "region", "aria-label": "Actions on dead letters" });
  const list = h("div", {});
  fill(
    root,
    h(
      "div",
      { class: "page" },
      pageHead("Dead letters", "Each is a file, or a message, that could not be worked on. Mend the cause, then replay it: nothing is counted twice."),
      h("div", { class: "row between" }, stateTabs, h("div", { class: "row" }, h("div", {}, errorClass), h("div", {}, stage), h("div", {}, job), known)),
      bulk,
      list,
    ),
  );
  load();
  openNamed();
  signal.addEventListener("abort", () => listing.abort());
  return {
    update: (next) => {
      const before = now;
      now = next;
      if (JSON.stringify({ ...before, letter: "" }) !== JSON.stringify({ ...now, letter: "" })) load();
      openNamed();
    },
  };

  function state() {
    return now.state || "open";
  }

  function load() {
    listing.abort();
    listing = new AbortController();
    chosen.clear();
    typed.cancel();
    errorClass.value = now.error || "";
    job.value = now.job || "";
    fill(stateTabs, tabs("State", STATES, state(), (key) => go(["dead-letters"], { ...now, state: key })));
    stage.value = now.stage || "";
    const current = listing.signal;
    const content = table("Dead letters", [["Select"], ["File"], ["Error"], ["Stage"], ["Job"], ["When"], ["State"]], []);
    let shown = 0;
    let total = 0;
    const more = button("Show more", { onclick: attempt(page) });
    let cursor = null;
    fill(bulk);
    bulk.hidden = true;
    page();

    async function page() {
      try {
        const found = await get("/dead-letters", { state: state() === "all" ? "" : state(), job: now.job, stage: now.stage, error_class: now.error, limit: PAGE, cursor }, current);
        found.letters.forEach((letter) => errors.add(letter.error_class));
        fill(known, [...errors].sort().map((name) => h("option", { value: name })));
        addRows(content, found.letters.map((letter) => row(letter, () => drawBulk(total))));
        shown += found.letters.length;
        cursor = found.next;
        total = found.total ?? total;
        if (!shown) fill(list, nothing());
        else fill(list, content, cursor && h("div", { class: "grid-end" }, more));
        drawBulk(total);
      } catch (error) {
        if (!current.aborted) fill(list, failure(error, load));
      }
    }
  }

  function nothing() {
    const filtered = now.job || now.stage || now.error;
    if (filtered || state() !== "open") return empty("search", "No such dead letter", "Take a filter away, or look at another state.");
    return empty("good", "Nothing failed", "No dead letter is open. What cannot be worked on comes here, with the reason.");
  }

  function row(letter, onpick) {
    const pick = check("", { "aria-label": `Select ${letter.path || letter.id}`, onchange: () => {
      if (pick.input.checked) chosen.set(letter.id, letter);
      else chosen.delete(letter.id);
      onpick();
    } });
    const name = letter.path ? format.fileName(letter.path) : "a message that does not validate";
    return h(
      "tr",
      { class: "link", onclick: (event) => event.target.closest("a, label, button") || openLetter(letter.id) },
      h("td", {}, pick.element),
      h("td", { class: "wrap" }, h("button", { type: "button", class: "as-link", onclick: () => openLetter(letter.id) }, name), h("div", { class: "small soft" }, letter.path)),
      h("td", { class: "wrap" }, h("a", { href: link(["dead-letters"], { ...now, error: letter.error_class }), title: `Only ${letter.error_class}` }, letter.error_class), h("div", { class: "small soft" }, format.without(letter.message, letter.path))),
      h("td", {}, letter.stage),
      h("td", {}, letter.job_id ? h("a", { href: link(["jobs", letter.job_id]) }, shortened(letter.job_id)) : "—"),
      h("td", {}, format.dateTime(letter.at)),
      h("td", {}, badge(letter.state, letterLook(letter.state)), letter.attempt > 1 && h("div", { class: "small soft" }, `attempt ${letter.attempt}`)),
    );
  }

  function drawBulk(number) {
    const filters = { job_id: now.job || "", stage: now.stage || "", error_class: now.error || "" };
    const all = Object.values(filters).some(Boolean) ? filters : { all: true };
    const ids = [...chosen.keys()];
    bulk.hidden = !ids.length && (state() !== "open" || !number);
    if (ids.length) fill(bulk, h("strong", { role: "status" }, `${format.count(ids.length)} selected`), replayButton("Replay", { ids }, ids.length), dropButton("Drop", { ids }));
    else fill(bulk, h("strong", { role: "status" }, `${format.plural(number, "letter")} open`), replayButton("Replay all", all, number), dropButton("Drop all", all));
  }

  function replayButton(text, choice, number, after) {
    return button(text, {
      picture: "retry",
      onclick: attempt(async () => {
        if (!choice.ids && !(await ask("Replay all that are shown?", "Every open letter that matches the filters is published again to the topic that restarts it.", "Replay all"))) return;
        const decided = await post("/dead-letters/replay", choice);
        after?.();
        told(decided, "replayed", number);
      }),
    });
  }

  function dropButton(text, choice, after) {
    return button(text, {
      picture: "trash",
      look: "danger",
      onclick: attempt(async () => {
        if (!(await ask(choice.ids ? `Drop ${format.plural(choice.ids.length, "letter")}?` : "Drop all that are shown?", "They need no more attention then. The files stay where they are and count as failed.", "Drop", { danger: true }))) return;
        const decided = await post("/dead-letters/drop", choice);
        after?.();
        told(decided, "dropped");
      }),
    });
  }

  function told(decided, done) {
    toast(decided.refused ? `${format.count(decided.done)} ${done}, ${format.count(decided.refused)} refused: ${decided.refusals[0].reason}` : `${format.plural(decided.done, "letter")} ${done}.`);
    window.dispatchEvent(new Event("letters"));
    load();
  }

  function openLetter(id) {
    go(["dead-letters"], { ...now, letter: id }, { replace: true });
  }

  /** Opens the letter that the address names. */
  async function openNamed() {
    const id = now.letter;
    if (!id || id === opened) return;
    opened = id;
    const content = h("div", { class: "skeleton" }, "…");
    const dialog = showDialog("Dead letter", content, { wide: true, onclose: () => {
      if (opened === id) opened = null;
      if (here().query.letter === id) go(["dead-letters"], { ...now, letter: "" }, { replace: true });
    } });
    try {
      const letter = await get(`/dead-letters/${encodeURIComponent(id)}`, {}, signal);
      const close = () => dialog.close();
      const again = letter.state === "open"
        ? [replayButton("Replay", { ids: [id] }, 1, close), dropButton("Drop", { ids: [id] }, close)]
        : [replayButton("Replay once more", { ids: [id], force: true }, 1, close)];
      content.replaceWith(details(letter, again));
    } catch (error) {
      if (!signal.aborted) content.replaceWith(failure(error));
    }
  }
}

function details(letter, actions) {
  const image = h("img", { alt: `The file ${format.fileName(letter.path || "")}`, src: address(`/dead-letters/${letter.id}/image`) });
  const picture = h("div", {}, letter.path ? image : h("p", { class: "soft" }, "It names no file."));
  image.addEventListener("error", () => fill(picture, note("The file cannot be shown: it is gone, may not be read, or is no picture that a browser knows.")));
  const facts = [
    ["File", letter.path && h("span", { class: "mono" }, letter.path)],
    ["Error", letter.error_class],
    ["Stage", letter.stage],
    ["Job", letter.job_id && h("a", { href: link(["jobs", letter.job_id]) }, letter.job_id)],
    ["When", format.dateTime(letter.at)],
    ["Attempt", String(letter.attempt)],
    ["Restarts at", letter.restart_topic || "nothing: it can only be dropped"],
    ["Stands at", `dead-letter, partition ${letter.id.replace("-", ", offset ")}`],
    ["State", badge(letter.state, letterLook(letter.state))],
  ].filter(([, value]) => value);
  return h(
    "div",
    { class: "body-parts" },
    note(letter.message, "bad"),
    h("div", { class: "letter" }, picture, h("dl", { class: "facts" }, facts.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]))),
    h("h3", {}, "Stack trace"),
    h("pre", { class: "stack-trace", tabindex: "0", "aria-label": "Stack trace" }, letter.stack_trace || "None was kept."),
    h("details", {}, h("summary", {}, "Message and headers"), h("pre", { class: "stack-trace", tabindex: "0", "aria-label": "Message and headers" }, `${pretty(letter.payload)}\n\n${JSON.stringify(letter.headers, null, 2)}`)),
    h("div", { class: "buttons end" }, actions),
  );
}

function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload ?? "no value";
  }
}

const shortened = (id) => (id.length > 14 ? `${id.slice(0, 12)}…` : id);
