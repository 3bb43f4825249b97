/** The words for states and outcomes, and how they look. */

export const STAGES = ["scan", "hash", "prepare", "embed", "store"];
export const OUTCOMES = ["stored", "cached", "duplicate", "unchanged", "skipped", "failed"];
export const FINISHED = new Set(["completed", "completed_with_errors", "failed", "cancelled"]);

export const OUTCOME_MEANS = {
  stored: "New content, embedded and stored",
  cached: "Embedding known already, stored without ML",
  duplicate: "Same content as another file of the job",
  unchanged: "Stored before",
  skipped: "Not a photograph for us",
  failed: "Could not be used",
};

const STATE_LOOKS = {
  queued: "", scanning: "calm", running: "calm", paused: "warn",
  completed: "good", completed_with_errors: "warn", failed: "bad", cancelled: "",
};

export const words = (state) => state.replaceAll("_", " ");
export const stateLook = (state) => STATE_LOOKS[state] ?? "";
export const letterLook = (state) => ({ open: "bad", replayed: "good", dropped: "" })[state] ?? "";
