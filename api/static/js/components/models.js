/** Models that know what a picture shows: the offer of one, how it comes, and how it takes over. */

import { get, post } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { embeddingAnew } from "../core/jobs.js";
import { go } from "../core/router.js";
import { drawAnew } from "./anew.js";
import { badge, button, failure, note, said, table } from "./basics.js";
import { attempt, toast } from "./toast.js";

const AGAIN_MS = 1000;
const AGAIN_FAILED_MS = 5000;
const LATER = "model-offer";

/**
 * What offers the first model of the list where a search has none that knows text. `show({ lacks, collection })` takes
 * what the search lacks, `hide()` takes it away; `onused` is called when another model has taken over.
 */
export function modelOffer(signal, onused) {
  const element = h("section", { class: "card model-offer", "aria-label": "Search by meaning", hidden: true });
  let why = null;
  let anew = null;
  const models = watched(signal, draw, (error, again) => (why && !element.hidden ? fill(element, failure(error, again)) : hide()));
  return { element, show, hide };

  async function show(reason) {
    why = reason;
    anew = reason.collection ? (await embeddingAnew(reason.collection, signal).catch(() => []))[0] : null;
    if (why === reason) models.look();
  }

  function hide() {
    why = null;
    element.hidden = true;
    models.rest();
  }

  function draw(found) {
    const content = why && contentOf(found);
    element.hidden = !content;
    fill(element, content || []);
  }

  function contentOf(found) {
    const used = found.models.find((one) => one.in_use && one.gives !== "captions");
    if (found.loading || found.arrival?.state === "running") return progress(found);
    if (anew && anew.collection === why.collection) return underWay(anew);
    if (used?.gives === "meaning" && why.collection) return otherModel(why.collection, used);
    if (!found.offered || why.lacks !== "text-model") return null;
    const knowing = found.models.filter((one) => one.gives === "meaning");
    const here = knowing.find((one) => one.here && !one.in_use);
    if (here) return arrived(here, why.collection);
    const failed = found.arrival?.state === "failed" ? found.arrival : null;
    const offered = knowing.find((one) => one.name === (failed?.name ?? found.default));
    return offered && (failed || localStorage.getItem(LATER) !== "later") && offer(offered, failed);
  }

  function underWay(job) {
    const progress = h("div", { class: "body-parts" });
    drawAnew(progress, job, signal).catch(() => {});
    return [h("h2", {}, `“${job.collection}” gets new vectors`), progress];
  }

  function later() {
    localStorage.setItem(LATER, "later");
    hide();
    toast("The page of the system offers models at any time.");
  }

  function offer(model, failed) {
    return [
      h("h2", {}, "Find pictures by what they show"),
      failed && note(said(failed.message), "bad"),
      h("p", {}, "That needs a model that knows text: ", h("strong", {}, model.name), ` (${model.about}).`),
      facts(model),
      h("div", { class: "buttons" }, button(failed || model.partly ? "Go on" : "Get this model", { picture: "download", look: "main", onclick: attempt(() => models.ask(model.name, "get")) }), !failed && button("Not now", { onclick: later })),
    ];
  }

  function arrived(model, collection) {
    return [
      h("h2", {}, `${model.name} is here`),
      h("p", {}, "New collections are made with it, and found by what their pictures show. A collection stays with the model that it was made with: ", collection ? `“${collection}”` : "each", " is found by words until it is embedded anew, which the next step offers."),
      h("div", { class: "buttons" }, useButton(model)),
    ];
  }

  function useButton(model) {
    return button("Use it now", { picture: "check", look: "main", onclick: attempt(async () => {
      await models.ask(model.name, "use");
      toast(`${model.name} is in use.`);
      onused();
    }) });
  }
}

/** The list of all models, for a page of its own. */
export function modelList(signal) {
  const element = h("section", { class: "card", "aria-label": "Models" }, h("h2", {}, "Models"));
  const body = h("div", { class: "body-parts" });
  element.append(body);
  const models = watched(signal, draw, (error, again) => fill(body, failure(error, again)));
  models.look();
  return element;

  function draw(found) {
    const failed = found.arrival?.state === "failed";
    fill(
      body,
      found.reason && note(said(found.reason)),
      failed && note(said(found.arrival.message), "bad"),
      (found.loading || found.arrival?.state === "running") && h("div", { class: "body-parts" }, progress(found)),
      found.models.length > 0 && table("All models", [["Model"], ["State"], ["On disk", "number"], ["Languages"], ["Licence"], [""]], found.models.map((one) => row(one, found))),
    );
  }

  function row(one, found) {
    const busy = Boolean(found.loading) || found.arrival?.state === "running";
    const state = one.in_use ? badge("in use", "good") : one.here ? badge("here", "calm") : one.partly ? badge("partly here", "warn") : "";
    const act = (text, what) => button(text, { disabled: busy, "aria-label": `${text} ${one.name}`, onclick: attempt(() => models.ask(one.name, what)) });
    return h(
      "tr",
      {},
      h("td", { class: "wrap" }, h("strong", {}, one.name), h("div", { class: "small soft" }, one.about)),
      h("td", {}, state),
      h("td", { class: "number" }, one.bytes ? format.bytes(one.bytes) : ""),
      h("td", {}, one.languages),
      h("td", {}, one.licence),
      h("td", {}, found.offered && !one.in_use && (one.here ? act("Use", "use") : act(one.partly ? "Go on" : "Get", "get"))),
    );
  }
}

/** Asks the service for its models, and again while one comes or takes over, whether or not it answers meanwhile. */
function watched(signal, draw, fail) {
  let timer;
  let asked = 0;
  let coming = false;
  let underWay = false;
  signal.addEventListener("abort", rest);
  return { look, rest, ask };

  function rest() {
    asked += 1;
    clearTimeout(timer);
  }

  async function look() {
    rest();
    const mine = asked;
    try {
      const found = await get("/models", {}, signal);
      if (mine === asked) take(found);
    } catch (error) {
      if (mine !== asked || signal.aborted) return;
      if (underWay) timer = setTimeout(look, AGAIN_FAILED_MS);
      fail(error, look);
    }
  }

  /** Has a model come (`get`) or take over (`use`). */
  async function ask(name, what) {
    const asking = post(`/models/${encodeURIComponent(name)}/${what}`);
    if (what === "use") timer = setTimeout(look, AGAIN_MS / 4);
    try {
      const found = await asking;
      rest();
      if (!signal.aborted) take(found);
    } catch (error) {
      // It may have begun all the same: an answer came too late, or somebody else has asked.
      if (!signal.aborted) look();
      throw error;
    }
  }

  function take(found) {
    const { arrival } = found;
    if (coming && arrival?.state === "done") toast(`${arrival.name} is here.`);
    coming = arrival?.state === "running";
    underWay = coming || Boolean(found.loading);
    draw(found);
    clearTimeout(timer);
    if (underWay) timer = setTimeout(look, AGAIN_MS);
  }
}

function facts(model) {
  const size = model.bytes ? format.bytes(model.bytes) : "known when it comes";
  const pairs = [
    ["Size", model.partly ? `${size}, of which ${format.bytes(model.partly)} are here` : size],
    ["Licence", model.licence],
    ["Languages", model.languages],
    ["From", "a Hugging Face hub, once. Your pictures stay on this machine."],
    !model.verified && ["Unverified", "Darkroom does not know the hashes of all its files: what comes first is recorded, and nothing else is taken from then on."],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, pairs.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}

function progress({ arrival, loading }) {
  if (loading) return [h("h2", {}, `${loading} takes over`), bar(null, "Loading")];
  const { name, done, total, note: waits } = arrival;
  const whole = total > 0 && done >= total;
  return [
    h("h2", {}, `${name} is on its way`),
    bar(total > 0 && !whole ? done / total : null, `How much of ${name} is here`),
    h("p", { class: "soft" }, whole ? "All of it is here: it is compared with its hashes, and tried once." : total ? `${format.bytes(done)} of ${format.bytes(total)}` : "Asking the hub …"),
    waits && h("p", { class: "small soft" }, waits),
    h("p", { class: "small soft" }, "It comes also while this page is closed."),
  ];
}

/** A bar that is full at 1; null: nobody knows how far it is. */
function bar(share, label) {
  const known = share !== null;
  return h(
    "div",
    { class: `bar ${known ? "" : "unknown"}`, role: "progressbar", "aria-label": label, "aria-valuemin": known && 0, "aria-valuemax": known && 100, "aria-valuenow": known && Math.floor(100 * share) },
    h("span", { style: known ? { width: `${100 * share}%` } : {} }),
  );
}

function otherModel(collection, used) {
  return [
    h("h2", {}, `“${collection}” is of another model`),
    h("p", {}, `${used.name} is in use now. Until the pictures of “${collection}” are embedded anew by it, they are found by words.`),
    h("p", { class: "soft" }, "What was found before is found while the job runs, and each picture counts as one call of ML. The same by a command: ", h("code", {}, `darkroom reembed ${collection} --model ${used.name}`)),
    h("div", { class: "buttons" }, button(`Embed “${collection}” anew`, { picture: "retry", look: "main", onclick: attempt(() => reembed(collection, used.name)) })),
  ];
}

async function reembed(collection, model) {
  const { job_id: job } = await post(`/collections/${encodeURIComponent(collection)}/reembed`, { model });
  go(["jobs", job]);
}
