/** One picture, large, with all that is known of it. */

import { address, get } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { button, failure } from "./basics.js";
import { icon } from "./icons.js";
import { pictureStage } from "./stage.js";
import { attempt } from "./toast.js";
import { panel } from "./viewer-info.js";

/**
 * Opens the dialog with the picture `id`. `pictures()` gives the list that the arrows go through; the picture need not
 * be in it (yet). Told, each with an id: onturn, onclose, onsimilar, onarchive; `more()` is called near the list's end.
 */
export function openViewer({ id, pictures, collection, onturn, onclose, onsimilar, onarchive, more }) {
  let at = id;
  let turn = new AbortController();
  let isOpen = true;
  const title = h("h2", { id: "viewer-title" });
  const info = h("aside", { class: "viewer-info", id: "viewer-info", "aria-label": "About this picture", tabindex: "0" });
  const back = button("Previous picture", { picture: "back", square: true, look: "turn back", onclick: () => step(-1) });
  const on = button("Next picture", { picture: "on", square: true, look: "turn on", onclick: () => step(1) });
  const stage = pictureStage([back, on]);
  const about = button("About this picture", { picture: "info", look: "bare", square: true, "aria-controls": "viewer-info", onclick: toggleInfo });
  const original = anchor("Open the original", "open", { target: "_blank", rel: "noopener" });
  const download = anchor("Download the original", "download", {});
  const close = button("Close", { picture: "close", look: "bare", square: true, onclick: shut });
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-labelledby": "viewer-title", onkeydown: onkey, onclose: shut },
    h(
      "div",
      { class: "viewer-bar" },
      title,
      h("button", { type: "button", class: "button bare", "aria-label": "More like this", title: "More like this", onclick: () => onsimilar(at) }, icon("similar"), h("span", { class: "wide-only" }, "More like this")),
      button("Archive", { picture: "archive", look: "bare", square: true, onclick: attempt(() => onarchive(at)) }),
      original,
      download,
      about,
      close,
    ),
    stage.element,
    info,
  );
  if (localStorage.getItem("viewer-info") === "hidden") dialog.classList.add("bare-view");
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  draw();
  return { show, close: shut, redraw: draw, refresh, index };

  function index() {
    return pictures().findIndex((picture) => picture.id === at);
  }

  function show(next) {
    if (next === at) return;
    at = next;
    draw();
  }

  function step(by) {
    const next = pictures()[index() + by];
    if (index() < 0 || !next) return;
    at = next.id;
    onturn(at);
    draw();
  }

  /** Says where the arrows lead, when more of the list has come. */
  function refresh() {
    const place = index();
    back.disabled = place <= 0;
    on.disabled = place < 0 || place >= pictures().length - 1;
    if (place >= 0 && place > pictures().length - 20) more();
  }

  function draw() {
    turn.abort();
    turn = new AbortController();
    const { signal } = turn;
    const listed = pictures()[index()];
    name(listed?.filename);
    original.href = download.href = address(`/images/${at}/image`, { collection });
    about.setAttribute("aria-expanded", String(!dialog.classList.contains("bare-view")));
    refresh();
    const known = get(`/images/${at}/info`, { collection }, signal);
    stage.show({ id: at, collection, name: listed?.filename, known: known.then(({ payload }) => payload), signal });
    known.then(
      ({ payload, paths_total }) => {
        name(payload.filename);
        fill(info, ...panel(payload, paths_total, pictures()[index()]?.reasons));
      },
      (error) => error.name !== "AbortError" && fill(info, failure(error, draw)),
    );
  }

  function name(filename) {
    title.textContent = filename || "Picture";
    download.download = filename || "";
  }

  function toggleInfo() {
    const hidden = dialog.classList.toggle("bare-view");
    localStorage.setItem("viewer-info", hidden ? "hidden" : "shown");
    about.setAttribute("aria-expanded", String(!hidden));
  }

  function onkey(event) {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (stage.onkey(event.key)) event.preventDefault();
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "i") toggleInfo();
    else if (event.key === "m") onsimilar(at);
    else return;
    event.preventDefault();
  }

  function shut() {
    if (!isOpen) return;
    isOpen = false;
    turn.abort();
    dialog.close();
    dialog.remove();
    onclose(at);
  }
}

function anchor(label, picture, attributes) {
  return h("a", { class: "button bare square", "aria-label": label, title: label, ...attributes }, icon(picture));
}
