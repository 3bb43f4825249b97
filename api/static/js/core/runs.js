/** Work that the service does in the background. */

import { get } from "./api.js";

const AGAIN_MS = 700;

/** Asks until it is done and returns the last answer; `tell(answer)` hears each answer. Throws when the work failed. */
export async function ended(path, tell, signal) {
  for (;;) {
    const answer = await get(path, {}, signal);
    if (answer.state === "failed") throw new Error(answer.message || "It failed; the service's log says why.");
    if (answer.state === "done") return answer;
    tell(answer);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    signal?.throwIfAborted();
  }
}
