/** What is known of a picture, as the viewer shows it beside it. */

import { h } from "../core/dom.js";
import * as format from "../core/format.js";
import { link } from "../core/router.js";
import { mapOf } from "./map.js";
import { inFull } from "./query.js";

const OFFERED = new Set(["filename", "full_path", "paths", "more_paths", "file_hash", "width", "height", "format", "mode", "caption", "thumbnail_base64", "file_size", "taken_at", "camera_make", "camera_model", "lens", "iso", "aperture", "exposure_time", "focal_length", "orientation", "gps", "tags", "rating", "label", "people", "model_id", "job_id", "ingested_at"]);

/** The parts, those that hold something. Of `copies` files the payload names the first. `reasons`: of a search. */
export function panel(payload, copies, reasons) {
  const camera = [payload.camera_make, payload.camera_model].filter(Boolean);
  const name = camera.length === 2 && camera[1].toLowerCase().startsWith(camera[0].toLowerCase()) ? camera[1] : camera.join(" ");
  const settings = [
    payload.exposure_time && format.exposure(payload.exposure_time),
    payload.aperture && `f/${payload.aperture}`,
    payload.iso && `ISO ${payload.iso}`,
    payload.focal_length && `${payload.focal_length} mm`,
  ].filter(Boolean);
  const paths = payload.paths ?? [];
  const others = Object.entries(payload).filter(([field]) => !OFFERED.has(field));
  return [
    payload.caption && h("p", { class: "caption" }, payload.caption),
    facts("Why it was found", inFull(reasons)),
    facts("Picture", [
      ["Taken", payload.taken_at && format.takenAt(payload.taken_at)],
      ["Camera", name],
      ["Lens", payload.lens],
      ["Settings", settings.join(" · ")],
      ["Size", payload.width && `${payload.width} × ${payload.height} (${((payload.width * payload.height) / 1e6).toFixed(1)} MP)`],
      ["Rating", payload.rating !== undefined && payload.rating !== null && rating(payload.rating)],
      ["Label", payload.label],
      ["People", (payload.people ?? []).join(", ")],
      ["Tags", (payload.tags ?? []).join(", ")],
    ]),
    payload.gps && h("section", {}, h("h3", {}, "Place"), mapOf(payload.gps), h("p", { class: "small" }, format.position(payload.gps))),
    facts("File", [
      ["Name", payload.filename],
      ["Format", [payload.format, payload.mode].filter(Boolean).join(", ")],
      ["Size", payload.file_size && format.bytes(payload.file_size)],
      ["Orientation", payload.orientation],
      ["SHA-256", payload.file_hash && h("span", { class: "mono" }, payload.file_hash)],
    ]),
    h(
      "section",
      {},
      h("h3", {}, copies > 1 ? `Where it lies (${format.count(copies)} copies)` : "Where it lies"),
      paths.length ? h("ul", { class: "plain mono small" }, paths.map((path) => h("li", {}, path)), copies > paths.length && h("li", {}, `and ${format.count(copies - paths.length)} more`)) : h("p", { class: "soft small" }, "Nowhere now: its files were archived."),
    ),
    facts("Darkroom", [
      ["Taken in", payload.ingested_at && format.dateTime(payload.ingested_at)],
      ["Job", payload.job_id && h("a", { href: link(["jobs", payload.job_id]) }, payload.job_id)],
      ["Model", payload.model_id],
      ...others.map(([field, value]) => [field.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]),
    ]),
  ].filter(Boolean);
}

/** 3.5 -> "★★★½"; some programs say -1 of what they reject. */
function rating(stars) {
  if (stars < 0) return "rejected";
  const text = "★".repeat(Math.floor(stars)) + (stars % 1 >= 0.25 ? "½" : "");
  return h("span", { role: "img", "aria-label": `${stars} of 5 stars` }, text || "none");
}

function facts(title, pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "");
  return known.length > 0 && h("section", {}, h("h3", {}, title), h("dl", { class: "facts" }, known.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])));
}
