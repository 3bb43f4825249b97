/** Building elements. Text is always text: nothing here reads markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("a", { class: "x", href: "#/", onclick: f }, "text", child)`. False and null children are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for the parts of an SVG. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...shown(children));
  return element;
}

/** Puts these in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined);
}

/** Draws an element anew, and puts the keyboard and the place that was scrolled to back to where they were. */
export function keepingFocus(element, draw) {
  const name = (one) => one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent;
  const focused = element.contains(document.activeElement) && [document.activeElement.localName, name(document.activeElement)];
  const scrolled = element.querySelector(".table-wrap")?.scrollLeft ?? 0;
  draw();
  const wrap = element.querySelector(".table-wrap");
  if (wrap) wrap.scrollLeft = scrolled;
  if (focused) [...element.querySelectorAll(focused[0])].find((one) => name(one) === focused[1])?.focus();
}

/** Waits until it has not been called for a while; `cancel` calls off what waits, as does the signal. */
export function settled(call, milliseconds, signal) {
  let timer;
  const later = (...values) => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(() => call(...values), milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  signal.addEventListener("abort", later.cancel);
  return later;
}

/** Calls now and every few seconds, not while the page is hidden, until the signal ends it. */
export function repeat(call, milliseconds, signal) {
  let running = false;
  const once = async () => {
    if (running || document.hidden) return;
    running = true;
    try {
      await call();
    } finally {
      running = false;
    }
  };
  const timer = setInterval(once, milliseconds);
  document.addEventListener("visibilitychange", once, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
  return once();
}
