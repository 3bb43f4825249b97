/** Numbers, times and names as people read them. */

const whole = new Intl.NumberFormat("en");
const brief = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const instant = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const month = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });
// A camera writes its owner's clock, which is what people remember: its offset is left out, and so is the browser's.
const camera = {
  4: new Intl.DateTimeFormat("en", { year: "numeric", timeZone: "UTC" }),
  7: month,
  10: new Intl.DateTimeFormat("en", { dateStyle: "full", timeZone: "UTC" }),
  19: new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "short", timeZone: "UTC" }),
};
/** A date of a camera by its clock, and how much of it is known: 4 letters for a year up to 19 for a time. */
function onItsClock(iso) {
  const known = /^\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d:\d\d)?)?)?/.exec(iso || "")?.[0];
  const date = known && new Date(known.length === 19 ? `${known}Z` : known);
  return known && !Number.isNaN(date.getTime()) ? [date, known.length] : [];
}

export const count = (number) => whole.format(number);
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const dateTime = (iso) => (iso ? instant.format(new Date(iso)) : "—");
export const time = (iso) => clock.format(new Date(iso));
export function monthOf(iso) {
  const [date, length] = onItsClock(iso);
  return date ? camera[Math.min(length, 7)].format(date) : "";
}
export function takenAt(iso) {
  const [date, length] = onItsClock(iso);
  return date ? camera[length].format(date) : iso;
}
export const rate = (perSecond) => (perSecond ? `${brief.format(perSecond)} files/s` : "—");

/** 93784 -> "1 d 2 h" */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  const left = Math.max(0, Math.round(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min ${left % 60} s`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min`;
  return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
}

export const between = (start, end) => (start ? duration((new Date(end || Date.now()) - new Date(start)) / 1000) : "—");

export function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let left = size;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${brief.format(left)} ${units[unit]}`;
}

export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** Leaves the path out of a message that stands beside it. */
export const without = (message, path) => (path && message.startsWith(`${path} `) ? message.slice(path.length + 1) : message);

/** 0.004 -> "1/250 s" */
export const exposure = (seconds) => (seconds >= 0.4 || seconds <= 0 ? `${brief.format(seconds)} s` : `1/${Math.round(1 / seconds)} s`);

/** 48.8582, 2.2945 -> "48.8582° N, 2.2945° E" */
export function position({ lat, lon }) {
  return `${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(4)}° ${lon < 0 ? "W" : "E"}`;
}
