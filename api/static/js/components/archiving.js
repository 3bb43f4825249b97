/** Moving files out of the way, after asking, and back. */

import { post } from "../core/api.js";
import { plural } from "../core/format.js";
import { ask } from "./dialog.js";
import { attempt, toast } from "./toast.js";

/** Archives all files of these pictures; null where it is called off. `onundone` is called after an undo. */
export async function archivePictures(ids, collection, onundone = () => {}) {
  const text = "Their files are moved into the folder .darkroom-archive beside them, and can be moved back at any time. The pictures themselves stay in the collection, without a file.";
  if (!(await ask(`Archive ${plural(ids.length, "picture")}?`, text, "Archive"))) return null;
  return told(await post("/curation/archive-selection", { ids, collection }), onundone);
}

/** Archives all copies but one: of these pictures, or of all where none is named. */
export async function archiveCopies(ids, collection, onundone = () => {}) {
  const which = ids.length ? "One file of it stays" : `Of each picture of “${collection}” one file stays`;
  const title = ids.length ? "Archive its copies?" : "Archive all copies?";
  if (!(await ask(title, `${which}; every other copy is hashed again and, if it is still the same, moved into the folder .darkroom-archive beside it.`, title.slice(0, -1)))) return null;
  return told(await post("/duplicates/archive-exact", { ids, collection }), onundone);
}

/** Moves the files of an archive back, and says how it went. */
export async function undo(archiveId) {
  const report = await post(`/archive/${archiveId}/undo`);
  const back = report.files.filter((file) => file.state === "restored").length;
  const stayed = report.files.filter((file) => file.state === "archived" && file.reason);
  toast(stayed.length ? `${plural(back, "file")} moved back; ${stayed.length} stay: ${stayed[0].reason}` : `${plural(back, "file")} moved back.`);
}

function told(report, onundone) {
  const refused = report.files.filter((file) => file.state === "refused");
  const what = `${plural(report.moved, "file")} archived`;
  const back = attempt(async () => {
    await undo(report.archive_id);
    onundone();
  });
  toast(refused.length ? `${what}, ${refused.length} left in place: ${refused[0].reason}` : `${what}.`, report.moved > 0 && ["Undo", back]);
  return report;
}
