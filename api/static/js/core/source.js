/** Lists that come page by page. Only what the gallery shows of a picture is kept of it. */

import { get, request } from "./api.js";

const LIST_PAGE = 100;
const SEARCH_PAGE = 100;

/** Pictures in an order; `more()` brings the next ones. `onchange` is called whenever something is new. */
export class Source {
  #page;
  #next = null;
  #loading = null;
  #ended = new AbortController();

  /** `page(next, signal)` gives `{ pictures, total, next, likely, standing_out, hint, lacks, pending }`; `next` is null at first, and at the end. */
  constructor(page) {
    this.#page = page;
    this.pictures = [];
    this.total = null;
    this.done = false;
    this.error = null;
    this.likely = null;
    this.standingOut = null;
    this.hint = null;
    this.lacks = null;
    this.pending = 0;
    this.onchange = () => {};
  }

  get loading() {
    return this.#loading !== null;
  }

  /** Loads the next page, unless that is under way, all is there, or the last try failed. */
  more() {
    if (this.done || this.error) return this.#loading;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
      if (!this.#ended.signal.aborted) this.onchange();
    });
    return this.#loading;
  }

  retry() {
    this.error = null;
    this.onchange();
    return this.more();
  }

  /** Takes pictures out, such as ones that were archived. */
  remove(ids) {
    const before = this.pictures.length;
    this.pictures = this.pictures.filter((picture) => !ids.has(picture.id));
    this.total = Math.max(0, this.total - (before - this.pictures.length));
    this.onchange();
  }

  close() {
    this.#ended.abort();
    this.onchange = () => {};
  }

  async #load() {
    try {
      const page = await this.#page(this.#next, this.#ended.signal);
      this.pictures.push(...page.pictures);
      this.total = page.total;
      // Told with the first page.
      this.likely ??= page.likely ?? null;
      this.standingOut ??= page.standing_out ?? null;
      this.hint ??= page.hint ?? null;
      this.lacks ??= page.lacks ?? null;
      this.pending = page.pending ?? 0;
      this.#next = page.next;
      this.done = page.next === null;
    } catch (error) {
      if (error.name !== "AbortError") this.error = error;
    }
  }
}

/** All pictures of a collection, sorted and filtered. */
export function listed({ collection, sort, filters }) {
  const fixed = { collection, sort, per_page: LIST_PAGE, filters: text(filters) };
  return new Source(async (cursor, signal) => {
    const page = await get("/images", { ...fixed, cursor }, signal);
    return { pictures: page.images.map((image) => picture(image.id, image.payload)), total: page.total, next: page.next };
  });
}

/** What a query finds; `all`: also what the model does not find likely. */
export function found({ collection, query, filters, all }) {
  return searched((cursor, signal) => request("/search", { method: "POST", body: { query, limit: SEARCH_PAGE, cursor, collection, filters, min_score: all ? 0 : null }, signal }));
}

/** Pictures that look like a stored one, and fit a query, if there is one: in front, so that errors point into it. */
export function similar({ collection, id, query, filters }) {
  return found({ collection, query: `${query ? `${query} ` : ""}like:${id}`, filters });
}

/** Pictures that look like a file, and fit a query, if there is one. */
export function alike({ collection, file, query, filters }) {
  return searched((cursor, signal) => {
    const form = new FormData();
    form.append("file", file);
    form.append("limit", SEARCH_PAGE);
    form.append("collection", collection);
    form.append("filters", JSON.stringify(filters));
    if (query) form.append("query", query);
    if (cursor) form.append("cursor", cursor);
    return request("/search/image", { method: "POST", form, signal });
  });
}

function searched(search) {
  return new Source(async (cursor, signal) => {
    const { results, ...page } = await search(cursor, signal);
    return { ...page, pictures: results.map((hit) => ({ ...picture(hit.id, hit.payload), reasons: hit.reasons })) };
  });
}

function picture(id, payload) {
  return { id, filename: payload.filename || "Unnamed", taken_at: payload.taken_at || null };
}

function text(filters) {
  return filters && Object.keys(filters).length ? JSON.stringify(filters) : "";
}
