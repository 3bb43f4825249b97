/** Asking for a folder, and allowing it where it is outside those that may be read. */

import { ApiError, request } from "../core/api.js";
import { fill, h } from "../core/dom.js";
import { button, field, note, said } from "./basics.js";
import { attempt } from "./toast.js";

/**
 * Runs `send()`, which asks for a folder, and shows in `problem` what went wrong. Where the folder may not be read, it is
 * offered to allow it, and to send again; `action` says so.
 */
export async function asked(send, folder, problem, action) {
  fill(problem);
  try {
    await send();
  } catch (error) {
    fill(problem, note(said(error.message), "bad", mayAllow(error) && h("div", { class: "buttons" }, button(action, { onclick: attempt(() => allow()) }))));
    problem.scrollIntoView({ block: "center" });
  }

  /** Who can read the token of the machine may read the folder anyway; the refusal says where the token is. */
  async function allow(token) {
    try {
      await request("/ingest/roots", { method: "POST", body: { path: folder }, headers: token ? { "Darkroom-Local-Token": token } : {} });
    } catch (error) {
      if (error.status !== 403) throw error;
      const shown = h("input", { class: "input mono", type: "password", autocomplete: "off" });
      fill(problem, note(said(error.message), "bad", field("What is in that file", shown), h("div", { class: "buttons" }, button(action, { onclick: attempt(() => allow(shown.value.trim())) }))));
      return;
    }
    await asked(send, folder, problem, action);
  }
}

const mayAllow = (error) => error instanceof ApiError && error.status === 400 && error.message.includes("INGEST_ROOTS");
