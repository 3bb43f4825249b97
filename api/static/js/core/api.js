/** Darkroom's HTTP interface. Where it asks for the key, the person is asked once, and the request goes out again. */

import { signIn } from "../components/sign-in.js";

export const API = "/api/v1";

/** What went wrong, in words for a person. */
export class ApiError extends Error {
  /** `place`: of a query that cannot be read, where in it. */
  constructor(status, detail, place = null) {
    super(detail);
    this.status = status;
    this.place = place;
  }
}

/** Sends a request and returns the answer's JSON; null where it has none. Throws ApiError; AbortError by the signal. */
export async function request(path, { method = "GET", body, form, query, headers = {}, signal } = {}) {
  const url = API + path + parameters(query);
  const init = { method, signal, headers: { ...headers } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  if (form) init.body = form;
  for (;;) {
    const response = await send(url, init);
    if (response.status === 401) {
      await signIn();
      continue;
    }
    if (!response.ok) throw await refused(response);
    return response.status === 204 ? null : await response.json();
  }
}

export const get = (path, query, signal) => request(path, { query, signal });
export const post = (path, body = {}, query) => request(path, { method: "POST", body, query });

/** The address of something that an element loads by itself. */
export function address(path, query) {
  return API + path + parameters(query);
}

async function send(url, init) {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "Darkroom does not answer. Is it running? The page tries again when you do.");
  }
}

/** What an answer says went wrong. */
export const detail = async (response) => (await refused(response)).message;

async function refused(response) {
  const problem = await response.json().catch(() => ({}));
  return new ApiError(response.status, problem.detail || problem.title || `Darkroom answered ${response.status}.`, problem.query_error);
}

function parameters(query) {
  const chosen = Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return chosen.length ? `?${new URLSearchParams(chosen)}` : "";
}
