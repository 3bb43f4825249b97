/** Whether everything works, and how fast. */

import { get } from "../core/api.js";
import { fill, h, repeat } from "../core/dom.js";
import * as format from "../core/format.js";
import { badge, failure, note, pageHead, table } from "../components/basics.js";
import { lineChart } from "../components/chart.js";
import { modelList } from "../components/models.js";

const EVERY_MS = 5000;
const PARTS = [["kafka", "Kafka"], ["qdrant", "Qdrant"], ["ml", "ML service"], ["stages", "Stages"]];
const MOVING = ["hash", "prepare", "embed", "store"];

export const title = "System";

export async function show(root, { signal }) {
  const capabilities = await get("/capabilities", {}, signal);
  const live = h("div", { class: "body-parts" });
  const freshness = h("span", { class: "soft small" });
  const chart = lineChart("Messages a second, by stage, in the last half hour");
  const chartCard = h("section", { class: "card", "aria-label": "Throughput" }, h("div", { class: "row between" }, h("h2", {}, "Throughput"), h("span", { class: "soft small" }, "messages a second, each about one file or many, last 30 minutes")), chart.element);
  fill(root, h("div", { class: "page" }, pageHead("System", null, freshness), live, chartCard, modelList(signal), about(capabilities)));
  await repeat(load, EVERY_MS, signal);

  async function load() {
    try {
      const system = await get("/system", {}, signal);
      const scrolled = live.querySelector(".table-wrap")?.scrollLeft ?? 0;
      draw(system);
      const wrap = live.querySelector(".table-wrap");
      if (wrap) wrap.scrollLeft = scrolled;
    } catch (error) {
      if (!signal.aborted) fill(live, failure(error, load));
    }
  }

  function draw(system) {
    freshness.textContent = `Darkroom ${system.version}, up for ${format.between(system.started_at)}`;
    fill(
      live,
      h("div", { class: "cards parts", role: "group", "aria-label": "Parts" }, PARTS.map(([name, text]) => part(text, system.parts[name], system.addresses[name] ?? `looked at ${system.sampled_at ? format.time(system.sampled_at) : "never yet"}`))),
      system.stages.length
        ? table("Stages", [["Stage"], ["State"], ["Messages to read", "number"], ["Messages by partition"]], system.stages.map(stageRow))
        : note("The stages cannot be looked at yet: the first look comes a few seconds after the start, and needs Kafka.", "warn"),
    );
    chart.draw(system.throughput.map((point) => ({ at: Date.parse(point.at), values: MOVING.map((stage) => point.rates[stage] ?? 0) })), MOVING);
  }
}

function part(name, state, where) {
  return h("section", { class: "card part", "aria-label": name }, h("div", { class: "row" }, h("h2", {}, name), badge(state.ready ? "works" : "away", state.ready ? "good" : "bad")), h("p", { class: "small soft mono" }, where), state.detail && h("p", { class: "small" }, state.detail));
}

function stageRow(stage) {
  const topics = new Map();
  for (const one of stage.partitions) topics.set(one.topic, [...(topics.get(one.topic) ?? []), one]);
  const held = stage.partitions.filter((one) => one.held);
  const state = stage.stuck ? badge("stands still", "bad") : !stage.has_workers ? badge("no worker", stage.lag ? "bad" : "warn") : stage.lag ? badge("works", "calm") : badge("idle", "good");
  return h(
    "tr",
    {},
    h("td", {}, h("strong", {}, stage.name), h("div", { class: "small soft" }, stage.group)),
    h("td", {}, state, stage.stuck && h("div", { class: "small" }, stage.stuck)),
    h("td", { class: "number" }, format.count(stage.lag)),
    h("td", {}, [...topics].map(([topic, partitions]) => h("div", {}, h("div", { class: "small soft" }, topic), h("div", { class: "lags" }, partitions.map((one) => h("span", { class: `lag ${one.held || (one.lag && stage.stuck) ? "stuck" : one.lag ? "some" : ""}`, title: one.held ?? `Partition ${one.partition}: ${format.count(one.lag)} messages to read, at offset ${format.count(one.committed)} of ${format.count(one.end)}` }, format.count(one.lag)))))), held.map((one) => h("div", { class: "small" }, one.held))),
  );
}

function about({ ml, limits, text_search: search, partitions, extensions }) {
  const pairs = [
    ["Model", ml?.model_id ?? "not known yet"],
    ["Dimensions", ml ? format.count(ml.embedding_dim) : "—"],
    ["Search by text", search === "semantic" ? "by meaning" : "by words: the model knows no text"],
    ["Batch", ml ? `up to ${ml.safe_clip_batch} pictures, ${ml.safe_blip_batch} with captions` : "—"],
    ["Partitions", format.count(partitions)],
    ["Largest file", format.bytes(limits.max_file_bytes)],
    ["Largest picture", `${format.count(Math.round(limits.max_image_pixels / 1e6))} megapixels`],
    ["Files in an upload", format.count(limits.upload_max_files)],
    ["Formats", extensions.join(" ")],
  ];
  return h("section", { class: "card", "aria-label": "What it can do" }, h("h2", {}, "What it can do"), h("dl", { class: "facts" }, pairs.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])));
}
