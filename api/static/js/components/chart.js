/** Lines over time, as an SVG of our own. */

import { fill, h, s } from "../core/dom.js";
import { time } from "../core/format.js";

const WIDTH = 800;
const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 24;
const TOP = 8;

/** The chart; `draw(points, names)` takes `[{ at, values }]`, `at` in milliseconds, one value for each name. */
export function lineChart(label) {
  const svg = s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const legend = h("div", { class: "legend" });
  const reading = h("div", { class: "small soft", "aria-hidden": "true" });
  let shown = [];
  let series = [];
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    read(((event.clientX - box.left) / box.width) * WIDTH);
  });
  svg.addEventListener("pointerleave", () => read(null));
  return { element: h("div", { class: "body-parts" }, svg, h("div", { class: "row between" }, legend, reading)), draw };

  function draw(points, names) {
    shown = points;
    series = names;
    fill(legend, names.map((name, index) => h("span", {}, s("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, s("path", { class: `line s-${index + 1}`, d: "M0 5H26", fill: "none", "stroke-width": "3" })), name)));
    if (points.length < 2) {
      fill(svg, axis(1), s("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "Nothing was measured yet. A point comes every ten seconds."));
      return;
    }
    const top = ceiling(Math.max(...points.flatMap((point) => point.values)));
    fill(svg, axis(top), times(), names.map((_, index) => s("path", { class: `line s-${index + 1}`, d: points.map((point, number) => `${number ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.values[index], top).toFixed(1)}`).join("") })), s("path", { class: "cursor" }));
    svg.setAttribute("aria-label", `${label}. Now: ${names.map((name, index) => `${name} ${points.at(-1).values[index]}`).join(", ")}. At most ${top}.`);
  }

  function x(at) {
    const [first, last] = [shown[0].at, shown.at(-1).at];
    return LEFT + ((at - first) / Math.max(1, last - first)) * (WIDTH - LEFT - 8);
  }

  function y(value, top) {
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  }

  function axis(top) {
    return [0, 0.5, 1].map((share) => {
      const at = y(share * top, top);
      return [s("path", { class: "axis", d: `M${LEFT} ${at}H${WIDTH - 8}` }), s("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, String(share * top))];
    }).flat();
  }

  function times() {
    return [0, 0.5, 1].map((share) => {
      const point = shown[Math.round(share * (shown.length - 1))];
      return s("text", { x: x(point.at), y: HEIGHT - 4, "text-anchor": ["start", "middle", "end"][share * 2] }, time(point.at));
    });
  }

  function read(place) {
    const cursor = svg.querySelector(".cursor");
    if (!cursor) return;
    if (place === null || place < LEFT) {
      cursor.removeAttribute("d");
      reading.textContent = "";
      return;
    }
    const point = shown.reduce((best, one) => (Math.abs(x(one.at) - place) < Math.abs(x(best.at) - place) ? one : best));
    cursor.setAttribute("d", `M${x(point.at)} ${TOP}V${HEIGHT - BOTTOM}`);
    reading.textContent = `${time(point.at)}: ${series.map((name, index) => `${name} ${point.values[index]}`).join(", ")}`;
  }
}

/** The round number above: 1, 2 or 5 times a power of ten. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}
