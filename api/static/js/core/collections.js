/** The collections, as several pages ask for them, and which one is opened where the address names none. */

import { get } from "./api.js";

const LAST = "collection";

export const collections = async () => (await get("/collections")).collections;
/** Returns what a field of a collection's pictures may be filtered by, each `value` with how many `images` have it. */
export const facet = async (collection, field, signal) => (await get(`/images/facets/${field}`, { collection }, signal)).values;

/** Remembers, in this browser, that a person worked with this collection. */
export const used = (name) => localStorage.setItem(LAST, name);

/**
 * Returns all collections, and the name of the one that a view shows: the one `named`, else the one that was used last
 * and is still there, else the fullest, else the one that the first job makes.
 */
export async function opened(named) {
  const [active, { collections: known, selected }] = await Promise.all([get("/collections/active"), get("/collections")]);
  const there = (name) => known.some((one) => one.name === name);
  const last = [localStorage.getItem(LAST), selected].find((name) => name && there(name));
  const name = named || last || filled(known)[0]?.name || active.name;
  if (known.some((one) => one.name === name && one.points)) used(name);
  return { name, known };
}

/** Those that hold pictures, the fullest first. */
export const filled = (known) => known.filter((one) => one.points).sort((one, other) => other.points - one.points);
