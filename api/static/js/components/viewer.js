/** One picture, large, with all that is known of it. */

import { address, get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { link } from "../core/router.js";
import { button, failure, note } from "./basics.js";
import { mapOf } from "./map.js";
import { attempt } from "./toast.js";

// What every browser draws; the others are shown as a JPEG that the service makes.
const SHOWN = /\.(jpe?g|png|gif|webp|bmp|avif)$/i;
const OFFERED = new Set(["filename", "full_path", "paths", "file_hash", "width", "height", "format", "mode", "caption", "thumbnail_base64", "file_size", "taken_at", "camera_make", "camera_model", "lens", "iso", "aperture", "exposure_time", "focal_length", "orientation", "gps", "tags", "model_id", "job_id", "ingested_at"]);

/**
 * Opens the dialog. `pictures()` gives the list that the arrows go through.
 * Told: onturn(index), onclose(), onsimilar(picture), onarchive(picture).
 */
export function openViewer({ index, pictures, collection, onturn, onclose, onsimilar, onarchive, more }) {
  let at = index;
  let turn = new AbortController();
  const title = h("h2", { id: "viewer-title" });
  const stage = h("div", { class: "viewer-stage" });
  const info = h("aside", { class: "viewer-info", id: "viewer-info", "aria-label": "About this picture", tabindex: "0" });
  const back = button("Previous picture", { picture: "back", square: true, look: "turn back", onclick: () => step(-1) });
  const on = button("Next picture", { picture: "on", square: true, look: "turn on", onclick: () => step(1) });
  const about = button("About this picture", { picture: "info", look: "bare", square: true, "aria-controls": "viewer-info", onclick: toggleInfo });
  const original = h("a", { class: "button bare square", target: "_blank", rel: "noopener", "aria-label": "Open the original", title: "Open the original" }, button("", { picture: "open" }).firstChild);
  const close = button("Close", { picture: "close", look: "bare", square: true, onclick: () => dialog.close() });
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-labelledby": "viewer-title", onkeydown: onkey, onclose: closed },
    h(
      "div",
      { class: "viewer-bar" },
      title,
      h("button", { type: "button", class: "button bare", "aria-label": "More like this", title: "More like this", onclick: () => onsimilar(pictures()[at]) }, button("", { picture: "similar" }).firstChild, h("span", { class: "wide-only" }, "More like this")),
      button("Archive", { picture: "archive", look: "bare", square: true, onclick: attempt(() => onarchive(pictures()[at])) }),
      original,
      about,
      close,
    ),
    stage,
    info,
  );
  if (localStorage.getItem("viewer-info") === "hidden") dialog.classList.add("bare-view");
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  draw();
  return { show, close: () => dialog.close(), redraw: draw };

  function show(next) {
    if (next !== at) {
      at = next;
      draw();
    }
  }

  function step(by) {
    const next = at + by;
    if (next < 0 || next >= pictures().length) return;
    if (next > pictures().length - 20) more();
    at = next;
    onturn(at);
    draw();
  }

  function draw() {
    const picture = pictures()[at];
    if (!picture) {
      dialog.close();
      return;
    }
    turn.abort();
    turn = new AbortController();
    title.textContent = picture.filename;
    original.href = address(`/images/${picture.id}/image`, { collection });
    back.disabled = at === 0;
    on.disabled = at >= pictures().length - 1;
    about.setAttribute("aria-expanded", String(!dialog.classList.contains("bare-view")));
    drawStage(picture, turn.signal);
    drawInfo(picture, turn.signal);
  }

  function drawStage(picture, signal) {
    const alt = picture.filename;
    const small = h("img", { class: "small-one", alt: "", src: address(`/images/${picture.id}/thumbnail`, { collection }) });
    const kind = SHOWN.test(picture.filename) ? "image" : "preview";
    const large = h("img", { alt, hidden: true });
    large.addEventListener("load", () => {
      large.hidden = false;
      small.remove();
    });
    large.addEventListener("error", () => {
      // A file of a known name may hold what only the service can decode.
      const next = address(`/images/${picture.id}/preview`, { collection });
      if (large.getAttribute("src") !== next) {
        large.src = next;
        return;
      }
      if (signal.aborted) return;
      large.remove();
      small.alt = alt;
      stage.append(note("The original cannot be shown: it is not there any more, or may not be read. This is its thumbnail.", "warn"));
    });
    fill(stage, small, large, back, on);
    large.src = address(`/images/${picture.id}/${kind}`, { collection });
  }

  async function drawInfo(picture, signal) {
    try {
      const { payload } = await get(`/images/${picture.id}/info`, { collection }, signal);
      fill(info, ...panel(payload));
    } catch (error) {
      if (error.name !== "AbortError") fill(info, failure(error, draw));
    }
  }

  function toggleInfo() {
    const hidden = dialog.classList.toggle("bare-view");
    localStorage.setItem("viewer-info", hidden ? "hidden" : "shown");
    about.setAttribute("aria-expanded", String(!hidden));
  }

  function onkey(event) {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "i") toggleInfo();
    else if (event.key === "m") onsimilar(pictures()[at]);
    else return;
    event.preventDefault();
  }

  function closed() {
    turn.abort();
    dialog.remove();
    onclose(at);
  }
}

/** The parts of the panel, those that hold something. */
function panel(payload) {
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
    facts("Picture", [
      ["Taken", payload.taken_at && format.takenAt(payload.taken_at)],
      ["Camera", name],
      ["Lens", payload.lens],
      ["Settings", settings.join(" · ")],
      ["Size", payload.width && `${payload.width} × ${payload.height} (${((payload.width * payload.height) / 1e6).toFixed(1)} MP)`],
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
      h("h3", {}, paths.length > 1 ? `Where it lies (${paths.length} copies)` : "Where it lies"),
      paths.length ? h("ul", { class: "plain mono small" }, paths.map((path) => h("li", {}, path))) : h("p", { class: "soft small" }, "Nowhere now: its files were archived."),
    ),
    facts("Darkroom", [
      ["Taken in", payload.ingested_at && format.dateTime(payload.ingested_at)],
      ["Job", payload.job_id && h("a", { href: link(["jobs", payload.job_id]) }, payload.job_id)],
      ["Model", payload.model_id],
      ...others.map(([field, value]) => [field.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]),
    ]),
  ].filter(Boolean);
}

function facts(title, pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return known.length > 0 && h("section", {}, h("h3", {}, title), h("dl", { class: "facts" }, known.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])));
}
