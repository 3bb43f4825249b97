/** The wall of thumbnails. Only the rows in sight, and a few around them, are in the page, however many there are. */

import { address } from "../core/api.js";
import { h } from "../core/dom.js";
import { takenAt } from "../core/format.js";
import { icon } from "./icons.js";
import { inFull, inShort } from "./query.js";

const GAP = 6;
const ROWS_AROUND = 2;
const SCREENS_AHEAD = 3;
// Thumbnails that only rush past are not asked for, and others a moment later while the next page is on its way: it
// would wait behind them.
const RUSH_SCREENS = 1.5;
const HELD_MS = 90;

export class Grid {
  #source;
  #scroller;
  #options;
  #cells = new Map();
  #spare = [];
  #columns = 1;
  #side = 160;
  #lastTop = 0;
  #holding = 0;
  #frame = 0;

  /** `options`: collection, named, onopen(index), onpick(picture, picked), onmove(first picture in sight). */
  constructor(source, scroller, options) {
    this.#source = source;
    this.#scroller = scroller;
    this.#options = options;
    this.picked = new Map();
    this.focused = 0;
    this.element = h("div", { class: `grid ${options.named ? "named" : ""}`, role: "list", "aria-label": "Pictures", onkeydown: (event) => this.#onkey(event) });
    scroller.addEventListener("scroll", () => this.#soon(), { signal: options.signal, passive: true });
    const observer = new ResizeObserver(() => this.#soon());
    observer.observe(this.element);
    options.signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Draws what is in sight, and has more loaded where the end is near. `held`: long enough, so all thumbnails go. */
  draw(held = false) {
    const width = this.element.clientWidth;
    if (!width) return;
    const wanted = width < 520 ? 108 : 168;
    this.#columns = Math.max(2, Math.floor((width + GAP) / (wanted + GAP)));
    this.#side = (width - GAP * (this.#columns - 1)) / this.#columns;
    const row = this.#side + GAP;
    const top = this.#scroller.scrollTop - this.element.offsetTop;
    const height = this.#scroller.clientHeight;

    const have = this.#source.pictures.length;
    const left = this.#source.done ? 0 : Math.max(0, (this.#source.total ?? Infinity) - have);
    // Room for what is on its way, and no more: the scroll bar leads to nowhere that cannot be shown soon.
    const coming = this.#source.error ? 0 : Math.min(left, this.#columns * (Math.ceil(height / row) + 1));
    const rows = Math.ceil((have + coming) / this.#columns);
    this.element.style.height = `${Math.max(0, rows * row - GAP)}px`;

    const firstRow = Math.max(0, Math.floor(top / row) - ROWS_AROUND);
    const lastRow = Math.min(rows - 1, Math.floor((top + height) / row) + ROWS_AROUND);
    const first = firstRow * this.#columns;
    const last = Math.min(have + coming - 1, (lastRow + 1) * this.#columns - 1);
    const rushes = Math.abs(top - this.#lastTop) > RUSH_SCREENS * height;
    this.#lastTop = top;
    if (this.#source.total !== null && (rows * row - top - height < SCREENS_AHEAD * height || have < last)) this.#source.more();
    this.#place(first, last, !held && (rushes || this.#source.loading));
    const inSight = Math.max(0, Math.floor(top / row)) * this.#columns;
    this.#options.onmove(this.#source.pictures[Math.min(inSight, have - 1)]);
  }

  /** Scrolls to a picture; the keyboard goes there too. */
  focus(index) {
    const last = this.#source.pictures.length - 1;
    if (last < 0) return;
    this.focused = Math.min(Math.max(0, index), last);
    const row = this.#side + GAP;
    const place = Math.floor(this.focused / this.#columns) * row + this.element.offsetTop;
    const margin = this.#options.headHeight();
    if (place - margin < this.#scroller.scrollTop) this.#scroller.scrollTop = place - margin - GAP;
    else if (place + row > this.#scroller.scrollTop + this.#scroller.clientHeight) this.#scroller.scrollTop = place + row - this.#scroller.clientHeight + GAP;
    this.draw();
    this.#cells.get(this.focused)?.querySelector(".open").focus({ preventScroll: true });
  }

  pick(picture, picked) {
    if (picked) this.picked.set(picture.id, picture);
    else this.picked.delete(picture.id);
    this.#picksChanged();
  }

  unpick = () => {
    this.picked.clear();
    this.#picksChanged();
  };

  #picksChanged() {
    this.element.classList.toggle("picking", this.picked.size > 0);
    for (const [index, cell] of this.#cells) this.#mark(cell, this.#source.pictures[index]);
    this.#options.onpick();
  }

  #mark(cell, picture) {
    const picked = picture !== undefined && this.picked.has(picture.id);
    cell.classList.toggle("picked", picked);
    cell.querySelector(".pick").checked = picked;
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  #place(first, last, hold) {
    for (const [index, cell] of this.#cells) {
      if (index < first || index > last) {
        this.#cells.delete(index);
        // The element with the keyboard on it stays until the keyboard goes elsewhere.
        cell.querySelector("img").removeAttribute("src");
        cell.remove();
        this.#spare.push(cell);
      }
    }
    for (let index = first; index <= last; index += 1) {
      let cell = this.#cells.get(index);
      if (!cell) {
        cell = this.#spare.pop() || this.#make();
        this.#cells.set(index, cell);
        cell.dataset.id = "";
        this.element.append(cell);
      }
      this.#show(cell, index, hold);
    }
    this.#spare.length = Math.min(this.#spare.length, 40);
    clearTimeout(this.#holding);
    if (hold) this.#holding = setTimeout(() => this.draw(true), HELD_MS);
  }

  #make() {
    const cell = h(
      "div",
      { class: "cell loading", role: "listitem" },
      h("button", { class: "open", type: "button", onclick: () => this.#options.onopen(Number(cell.dataset.index)) }, h("img", { alt: "", decoding: "async", draggable: "false" }), h("span", { class: "name" })),
      h("span", { class: "broken", hidden: true }, icon("gallery")),
      h("span", { class: "score", hidden: true }),
      h("input", { class: "pick", type: "checkbox", tabindex: "-1", onchange: (event) => this.pick(this.#source.pictures[Number(cell.dataset.index)], event.target.checked) }),
    );
    const image = cell.querySelector("img");
    image.addEventListener("load", () => cell.classList.remove("loading"));
    image.addEventListener("error", () => {
      if (!image.getAttribute("src")) return;
      cell.classList.remove("loading");
      image.hidden = true;
      cell.querySelector(".broken").hidden = false;
    });
    return cell;
  }

  #show(cell, index, hold) {
    const x = (index % this.#columns) * (this.#side + GAP);
    const y = Math.floor(index / this.#columns) * (this.#side + GAP);
    cell.style.transform = `translate(${x}px, ${y}px)`;
    cell.style.width = cell.style.height = `${this.#side}px`;
    const picture = this.#source.pictures[index];
    const open = cell.querySelector(".open");
    open.tabIndex = index === this.focused ? 0 : -1;
    const image = open.querySelector("img");
    if (cell.dataset.id !== (picture?.id ?? "-")) {
      cell.dataset.index = index;
      cell.dataset.id = picture?.id ?? "-";
      cell.classList.add("loading");
      cell.setAttribute("aria-posinset", index + 1);
      cell.setAttribute("aria-setsize", this.#source.total ?? -1);
      image.removeAttribute("src");
      image.hidden = false;
      cell.querySelector(".broken").hidden = true;
      open.disabled = cell.querySelector(".pick").disabled = !picture;
      const name = picture?.filename ?? "";
      open.querySelector(".name").textContent = name;
      open.setAttribute("aria-label", picture ? `${name}${picture.taken_at ? `, ${takenAt(picture.taken_at)}` : ""}` : "Loading");
      open.setAttribute("aria-description", inFull(picture?.reasons).map((line) => line.join(", ")).join("; "));
      cell.querySelector(".pick").setAttribute("aria-label", picture ? `Select ${name}` : "Loading");
      const score = cell.querySelector(".score");
      score.textContent = inShort(picture?.reasons);
      score.hidden = !score.textContent;
      score.title = inFull(picture?.reasons).map((line) => line.join(", ")).join("\n");
      this.#mark(cell, picture);
    }
    if (picture && !hold && !image.getAttribute("src")) {
      image.src = address(`/images/${picture.id}/thumbnail`, { collection: this.#options.collection });
    }
  }

  #onkey(event) {
    if (!event.target.classList.contains("open") || event.ctrlKey || event.metaKey || event.altKey) return;
    this.focused = Number(event.target.parentElement.dataset.index);
    const screen = this.#columns * Math.max(1, Math.floor(this.#scroller.clientHeight / (this.#side + GAP)));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns, ArrowDown: this.#columns, PageUp: -screen, PageDown: screen, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const target = this.focused + steps[event.key];
      if (["ArrowUp", "PageUp"].includes(event.key) && target < 0) this.focus(this.focused % this.#columns);
      else this.focus(target);
    } else if (event.key === "x" || event.key === " ") {
      const picture = this.#source.pictures[this.focused];
      this.pick(picture, !this.picked.has(picture.id));
    } else return;
    event.preventDefault();
  }
}
