/** Where the viewer shows a picture: its thumbnail at once, then the original, or a preview that the service makes. */

import { address, detail, get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { button, note } from "./basics.js";
import { zooming } from "./zoom.js";

// What every browser draws, by what the file holds, else by its name.
const DRAWN = new Set(["JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF"]);
const DRAWN_NAME = /\.(jpe?g|png|gif|webp|bmp|avif)$/i;
const MAY_MOVE = new Set(["GIF", "WEBP"]);
// Beyond these a preview comes first; the original is loaded for whoever looks closer.
const LARGE_BYTES = 4_000_000;
const LARGE_PIXELS = 16_000_000;
const PREVIEW_SIDE = 2048;
const TIMES = 20;
const PAUSE_MS = 150;

let rendering = null;
/** What the address of a preview names, so that a browser may keep it: how the service makes them now. */
const renderer = () => (rendering ??= get("/capabilities").then((found) => found.previews.version).catch(() => ((rendering = null), undefined)));

/** The stage, with these buttons on it; `show` puts a picture there, `onkey` zooms and tells whether it knew the key. */
export function pictureStage(buttons) {
  const element = h("div", { class: "viewer-stage" });
  const percent = h("span", { class: "zoom-percent", role: "status" });
  const zoom = zooming(element, (scale) => {
    percent.textContent = scale === 1 ? "" : `${Math.round(scale * 100)} %`;
    out.disabled = scale === 1;
    if (scale > 1) closer();
  });
  const out = button("Zoom out", { picture: "minus", square: true, look: "bare", disabled: true, onclick: () => zoom.zoom(-1) });
  const controls = h("div", { class: "zoom" }, percent, out, button("Zoom in", { picture: "plus", square: true, look: "bare", onclick: () => zoom.zoom(1) }));
  let closer = () => {};
  let lastTurn = 0;
  return { element, show, onkey: (key) => zoom.onkey(key) };

  async function show({ id, collection, name, known, signal }) {
    const at = (kind, query) => address(`/images/${id}/${kind}`, { collection, ...query });
    const small = h("img", { class: "small-one", alt: "", draggable: "false" });
    closer = () => {};
    fill(element, small, buttons, controls);
    zoom.reset(small);
    if (name) small.src = at("thumbnail");
    // Whoever leafs through quickly asks for no picture that is gone before it is made.
    const pause = performance.now() - lastTurn < 2 * PAUSE_MS ? PAUSE_MS : 0;
    lastTurn = performance.now();
    let payload;
    try {
      payload = await known;
      await new Promise((resolve) => setTimeout(resolve, pause));
    } catch {
      return; // said beside it
    }
    if (signal.aborted) return;
    small.src ||= at("thumbnail");
    const alt = payload.filename || "Picture";
    const isDrawn = payload.format ? DRAWN.has(payload.format) : DRAWN_NAME.test(alt);
    const isLarge = payload.file_size > LARGE_BYTES || payload.width * payload.height > LARGE_PIXELS;
    const preview = at("preview", { side: PREVIEW_SIDE, v: await renderer() });
    if (signal.aborted) return;
    const first = isDrawn && (!isLarge || (MAY_MOVE.has(payload.format) && payload.file_size <= 4 * LARGE_BYTES)) ? at("image") : preview;
    let shown = first !== preview && (await drawn(first, alt, signal));
    if (!shown && !signal.aborted) shown = await made(preview, alt, signal);
    if (signal.aborted) return;
    if (typeof shown === "string") {
      small.alt = alt;
      // Its paths stand beside it.
      const why = (payload.paths ?? []).reduce((text, path) => text.replaceAll(path, format.fileName(path)), shown);
      element.append(note(`The original cannot be shown, this is its thumbnail. ${why}`, "warn"));
      return;
    }
    put(shown);
    if (isDrawn && first === preview) {
      closer = async () => {
        closer = () => {};
        const whole = await drawn(at("image"), alt, signal);
        if (whole && !signal.aborted) put(whole);
      };
      if (zoom.scale > 1) closer();
    }
  }

  function put(image) {
    for (const before of element.querySelectorAll("img")) before.remove();
    element.prepend(image);
    zoom.take(image);
  }
}

/** Returns the image when it is loaded; null where there is none that this browser draws. */
async function drawn(source, alt, signal) {
  const image = h("img", { alt, draggable: "false" });
  signal.addEventListener("abort", () => image.removeAttribute("src"));
  image.src = source;
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

/** Asks for a preview, again while the service has too many to make; returns it, or why there is none. */
async function made(source, alt, signal) {
  for (let time = 0; time < TIMES && !signal.aborted; time += 1) {
    try {
      const response = await fetch(source, { signal });
      if (response.ok) {
        const url = URL.createObjectURL(await response.blob());
        signal.addEventListener("abort", () => URL.revokeObjectURL(url));
        return (await drawn(url, alt, signal)) ?? "This browser cannot draw it.";
      }
      if (response.status !== 503) return await detail(response);
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(10, Number(response.headers.get("Retry-After")) || 1)));
    } catch {
      return "Darkroom does not answer.";
    }
  }
  return "Darkroom has too much to do now: open it again later.";
}
