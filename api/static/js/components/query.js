/** The language of the search box: what may be written, where it went wrong, and why a picture was found. */

import { h } from "../core/dom.js";
import { count } from "../core/format.js";
import { icon } from "./icons.js";

const EXAMPLES = [
  ["boats sunset", "any of these words; more and rarer ones come first"],
  ["\"red roof\"", "these words side by side"],
  ["rapt*", "words that begin so"],
  ["-dog", "not this; a minus goes before anything"],
  ["iso 100   50mm   f/2.8   October 2018", "settings and time, as people write them"],
  ["camera:canon,nikon   lens:50mm", "one of several values"],
  ["tag:holiday   person:\"Ann Lee\"   title:   caption:   label:red", "words of one field"],
  ["name:IMG_26   folder:iceland", "files and folders"],
  ["date:2024-05..2024-08   date:..2023   date:>=2024", "taken then"],
  ["rating:>=4   iso:100..800   focal:24..70   aperture:<=2.8", "numbers"],
  ["has:gps   -has:tags", "known, or not"],
  ["near:48.86,2.35,5", "at most 5 km from there"],
  ["like:ID   -like:ID", "like one picture, unlike another"],
  ["dark blue", "colours, too, where the model knows no other words"],
];
const FIELDS = { filename: "name", folder: "folder", tags: "tag", people: "person", taken_at: "date", focal_length: "focal length", exposure_time: "exposure" };

/** What may be written, for a dialog. */
export function help() {
  return h("dl", { class: "facts query-help" }, EXAMPLES.map(([text, meaning]) => [h("dt", { class: "mono" }, text), h("dd", {}, meaning)]));
}

/** Shows a query with what is wrong in it marked, and what may stand there. `error.place` counts characters. */
export function misread(query, { place, message }) {
  const letters = Array.from(query);
  const end = place.position + place.length;
  const part = (from, to) => letters.slice(from, to).join("");
  const wrong = part(place.position, end).trim() ? part(place.position, end) : "␣";
  return h(
    "div",
    { class: "note bad", role: "alert" },
    icon("warn"),
    h("div", {}, h("p", { class: "mono query" }, part(0, place.position), h("mark", {}, wrong), part(end)), h("p", { id: "query-error" }, message)),
  );
}

/** Selects in an input what is wrong in it. */
export function pointAt(input, { position, length }) {
  const letters = Array.from(input.value);
  const units = (number) => letters.slice(0, number).join("").length;
  input.setSelectionRange(units(position), units(position + length));
}

/** Why a picture was found, in two words: its badge in the grid. */
export function inShort(reasons = []) {
  const word = reasons.find((one) => one.kind === "word");
  const like = reasons.find((one) => one.kind === "like");
  const colour = reasons.find((one) => one.kind === "colour");
  const meaning = reasons.find((one) => one.kind === "meaning");
  if (word) return `${fieldName(word.field)}: ${word.word}`;
  if (colour) return `${colour.word} (colour)`;
  if (meaning && meaning.probability !== null) return percent(meaning.probability);
  if (like) return percent(like.similarity);
  return meaning ? percent(meaning.similarity) : "";
}

/** Why a picture was found, a line for each reason. */
export function inFull(reasons = []) {
  return reasons.map((one) => {
    if (one.kind === "word") return [`“${one.word}”`, `${fieldName(one.field)}: ${one.value}`];
    if (one.kind === "colour") return ["Colour", `${one.word}, similarity ${one.similarity.toFixed(2)}`];
    if (one.kind === "like") return ["Looks alike", percent(one.similarity)];
    if (one.probability !== null) return ["Meaning", `fits with a probability of ${percent(one.probability)}`];
    return ["Meaning", `similarity ${one.similarity.toFixed(2)}`];
  });
}

/** "12 sure, 30 maybe", where the model tells it; else how many are clearly nearer than all others. */
export function likely({ likely: told, standingOut, total }) {
  if (told && total) return isAny(told) ? `${count(told.sure)} sure, ${count(told.maybe)} maybe` : "None is likely: the nearest come first.";
  return standingOut ? `${count(standingOut)} stand${standingOut === 1 ? "s" : ""} out` : "";
}

/** Whether the model finds any picture likely: then the list ends behind these. */
export const isAny = (found) => Boolean(found && found.sure + found.maybe);

const fieldName = (field) => FIELDS[field] ?? field;
const percent = (share) => (share > 0 ? (share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`) : "0 %");
