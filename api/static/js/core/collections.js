/** The collections, as several pages ask for them. */

import { get } from "./api.js";

export const collections = async () => (await get("/collections")).collections;
export const cameras = async (collection, signal) => (await get("/images/facets/camera_model", { collection }, signal)).values;
export const activeCollection = async () => (await get("/collections/active")).name;
