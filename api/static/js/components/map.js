/** A map of the world, drawn here: no tile comes from anywhere. Longitude and latitude are x and y, in degrees. */

import { s } from "../core/dom.js";
import { position } from "../core/format.js";

// Coarse outlines, longitude and latitude in turn.
const LAND = [
  // North and Central America
  "-168 66 -156 71 -141 70 -128 70 -115 68 -108 68 -95 72 -94 69 -86 69 -81 68 -87 64 -94 60 -92 57 -82 55 -80 51 -77 55 -78 62 -70 61 -65 59 -61 56 -56 52 -65 50 -66 46 -60 46 -66 44 -70 43 -74 40 -76 36 -81 31 -80 26 -82 28 -84 30 -90 29 -97 28 -97 22 -94 18 -90 21 -87 21 -88 16 -83 15 -83 10 -79 9 -82 8 -86 11 -92 14 -97 16 -105 20 -109 25 -113 31 -115 30 -110 23 -113 26 -117 32 -121 36 -124 41 -124 47 -128 51 -133 56 -140 60 -148 61 -153 58 -162 55 -158 59 -165 61 -161 64 -168 66",
  // Greenland, and the islands beside it
  "-73 78 -60 82 -30 83 -17 79 -22 71 -32 68 -42 61 -48 61 -54 68 -58 75 -73 78", "-90 73 -80 73 -68 68 -63 65 -68 62 -78 64 -72 68 -85 70 -90 73", "-92 77 -88 82 -65 82 -78 76 -92 77", "-118 72 -105 73 -102 70 -115 69 -118 72", "-24 65 -18 66 -14 65 -19 63 -24 65",
  "-85 22 -75 20 -78 20 -85 22", "-74 19 -69 19 -72 18 -74 19", "-59 49 -55 50 -53 47 -59 48 -59 49",
  // South America
  "-79 9 -72 12 -62 10 -51 4 -50 0 -43 -2 -35 -6 -39 -14 -40 -21 -48 -26 -53 -33 -58 -35 -57 -38 -62 -39 -65 -42 -67 -46 -69 -52 -66 -55 -72 -54 -75 -48 -73 -40 -71 -30 -70 -19 -76 -14 -81 -6 -80 -1 -77 4 -79 9",
  // Europe and Asia
  "-9 43 -9 37 -5 36 0 39 3 42 8 44 12 42 16 38 18 40 13 45 19 42 21 37 24 38 23 41 28 41 27 37 36 36 34 31 35 28 43 13 45 13 52 16 59 22 56 26 51 25 48 30 51 28 57 27 61 25 67 25 70 21 73 16 76 9 78 8 80 14 87 21 91 22 94 16 98 16 98 9 103 1 104 2 100 7 101 13 105 9 109 12 106 19 110 21 117 24 121 28 122 31 119 35 122 37 118 39 125 40 126 35 129 36 128 39 132 43 140 48 141 53 135 55 143 59 154 59 156 51 162 56 163 61 171 60 180 65 180 69 160 70 140 73 128 73 113 74 104 78 87 75 74 73 68 69 60 69 44 68 41 66 33 67 41 67 29 71 20 70 12 66 5 62 5 59 8 58 11 59 13 55 17 57 19 60 17 62 22 66 25 65 21 62 23 60 30 60 22 57 21 55 14 54 10 55 8 57 8 54 4 52 -1 49 -5 48 -1 46 -2 43 -9 43",
  // Britain, Ireland, Japan, Sri Lanka, the islands of the south east
  "-5 50 1 51 2 53 -2 56 -2 58 -5 58 -6 56 -3 54 -5 52 -5 50", "-10 52 -6 52 -6 55 -8 55 -10 52", "130 31 132 34 136 34 140 35 142 39 145 44 142 45 140 41 136 37 131 34 130 31", "80 9 82 7 80 6 80 9",
  "95 5 104 -2 106 -6 102 -4 95 5", "106 -6 114 -8 108 -8 106 -6", "109 1 117 7 119 5 116 -4 110 -2 109 1", "120 1 125 1 121 -5 119 -3 120 1", "131 -1 141 -3 148 -6 150 -10 143 -9 138 -8 131 -1", "120 18 122 18 124 13 126 7 122 8 120 15 120 18", "121 25 122 25 121 22 121 25", "109 20 111 20 109 18 109 20", "12 38 15 38 15 37 12 38", "9 41 9 39 8 40 9 41", "52 71 68 77 57 71 52 71", "11 79 27 80 20 77 15 77 11 79",
  // Africa and Madagascar
  "-6 36 10 37 11 34 20 31 31 31 34 28 37 21 43 12 51 12 47 4 40 -3 40 -15 35 -20 33 -27 27 -34 19 -34 15 -27 12 -17 13 -8 9 -1 9 4 5 5 -7 4 -13 8 -17 14 -17 21 -13 28 -6 36", "44 -16 50 -15 47 -25 44 -24 44 -16",
  // Australia, New Zealand, Antarctica
  "114 -22 122 -18 129 -15 136 -12 136 -16 140 -17 142 -11 146 -19 153 -25 151 -34 147 -39 140 -38 136 -35 131 -31 124 -33 115 -34 114 -22", "145 -41 148 -41 147 -44 145 -41", "173 -35 178 -38 175 -41 173 -39 173 -35", "172 -41 174 -42 169 -47 167 -46 172 -41",
  "-180 -90 -180 -78 -150 -77 -100 -73 -75 -72 -58 -63 -62 -75 -30 -78 -10 -71 40 -69 80 -67 110 -66 145 -67 170 -72 180 -78 180 -90",
];

/** The map with one place on it. */
export function mapOf(gps) {
  const map = world(`Map: ${position(gps)}`);
  map.append(
    s("path", { class: "cross", d: `M${gps.lon} -90V90M-180 ${-gps.lat}H180` }),
    s("circle", { class: "spot", cx: gps.lon, cy: -gps.lat, r: 3.5 }),
  );
  return map;
}

/** The map to draw a box on; `onchoose` gets `{ north, south, west, east }` in degrees. */
export function mapToChoose(box, onchoose) {
  const map = world("Map: draw a box, or type its sides below");
  map.classList.add("choose");
  const shown = s("rect", { class: "box" });
  map.append(shown);
  let from = null;
  const at = (event) => {
    const { left, top, width, height } = map.getBoundingClientRect();
    return { lon: clamp(((event.clientX - left) / width) * 360 - 180, 180), lat: clamp(90 - ((event.clientY - top) / height) * 180, 90) };
  };
  map.addEventListener("pointerdown", (event) => {
    from = at(event);
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", (event) => from && draw(boxOf(from, at(event))));
  map.addEventListener("pointerup", (event) => {
    if (!from) return;
    const chosen = boxOf(from, at(event));
    from = null;
    draw(chosen);
    onchoose(chosen);
  });
  function draw(chosen) {
    const drawn = { x: chosen.west, y: -chosen.north, width: chosen.east - chosen.west, height: chosen.north - chosen.south };
    for (const [name, value] of Object.entries(drawn)) shown.setAttribute(name, Math.max(name === "x" || name === "y" ? -180 : 0, value));
  }
  if (box) draw(box);
  return { element: map, draw };
}

function world(label) {
  const lines = [];
  for (let lon = -150; lon <= 150; lon += 30) lines.push(`M${lon} -90V90`);
  for (let lat = -60; lat <= 60; lat += 30) lines.push(`M-180 ${lat}H180`);
  return s(
    "svg",
    { class: "map", viewBox: "-180 -90 360 180", role: "img", "aria-label": label },
    s("path", { class: "land", d: LAND.map(outline).join("") }),
    s("path", { class: "grid-line", d: lines.join("") }),
  );
}

function outline(points) {
  const numbers = points.split(" ").map(Number);
  const corners = [];
  for (let index = 0; index < numbers.length; index += 2) corners.push(`${numbers[index]} ${-numbers[index + 1]}`);
  return `M${corners.join("L")}Z`;
}

function boxOf(one, other) {
  const round = (degrees) => Math.round(degrees * 10) / 10;
  return { north: round(Math.max(one.lat, other.lat)), south: round(Math.min(one.lat, other.lat)), west: round(Math.min(one.lon, other.lon)), east: round(Math.max(one.lon, other.lon)) };
}

const clamp = (degrees, limit) => Math.min(limit, Math.max(-limit, degrees));
