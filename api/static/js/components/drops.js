/** Files that are dropped on a page. */

/** `mark(on)` shows that a file is over `root`; `take(file)` gets the first that is dropped there. */
export function takeDrops(root, signal, mark, take) {
  root.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    mark(true);
  }, { signal });
  root.addEventListener("dragleave", (event) => !root.contains(event.relatedTarget) && mark(false), { signal });
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  }, { signal });
}
