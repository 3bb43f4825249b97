/** Taking photographs in, and watching it. */

import { API, ApiError, detail, get, post, request } from "../core/api.js";
import { opened, used } from "../core/collections.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { nameOf } from "../core/jobs.js";
import { FINISHED } from "../core/names.js";
import { link, settle } from "../core/router.js";
import { asked } from "../components/allowing.js";
import { button, check, field, note, pageHead } from "../components/basics.js";
import { icon } from "../components/icons.js";
import { follow, jobPanel } from "../components/job-panel.js";
import { toast } from "../components/toast.js";

export const title = "Ingest";

export async function show(root, { query, signal }) {
  const [{ name: chosen, known }, capabilities, recent, named] = await Promise.all([opened(query.collection), get("/capabilities"), get("/ingest/recent_jobs", { limit: 20 }), query.job ? jobOf(query.job) : null]);
  if (signal.aborted) return;
  const collection = h("input", { class: "input", list: "collections", value: chosen, autocomplete: "off", spellcheck: "false" });
  const captions = check("Ask ML for captions too");
  const problem = h("div", { role: "alert" });
  const progress = h("div", {});
  const path = h("input", { class: "input mono", placeholder: "/home/you/Pictures", required: true, autocomplete: "off", spellcheck: "false" });
  const submitButton = h("button", { class: "button main" }, "Take in this folder");
  const options = () => ({ collection: collection.value.trim() || undefined, caption: captions.input.checked });
  const folderForm = h(
    "form",
    { class: "card", onsubmit: (event) => (event.preventDefault(), submitFolder()) },
    h("h2", {}, "A folder"),
    field("Folder on the machine that Darkroom runs on", path, "All photographs below it are taken in; they stay where they are."),
    h("div", { class: "buttons" }, submitButton),
    problem,
  );

  const picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload", accept: capabilities.extensions.map((extension) => `.${extension}`).join(","), onchange: () => upload([...picker.files]) });
  const uploads = h("div", { role: "status" });
  const drop = h("div", { class: "drop" }, icon("ingest"), h("strong", {}, "Drop photographs here"), h("span", { class: "small" }, `JPEG, HEIC, TIFF, camera RAW and more, up to ${format.bytes(capabilities.limits.max_file_bytes)} each`), button("Choose files", { onclick: () => picker.click() }), picker);
  const filesCard = h("section", { class: "card", "aria-label": "Files" }, h("h2", {}, "Files"), drop, uploads);
  takeDrops(root, drop, signal, upload);

  fill(
    root,
    h(
      "div",
      { class: "page" },
      pageHead("Take in photographs"),
      h("div", { class: "card" }, h("div", { class: "two" }, field("Collection", collection, "Created if it is new."), h("div", { class: "field" }, h("span", { class: "label" }, "Captions"), captions.element)), h("datalist", { id: "collections" }, known.map((one) => h("option", { value: one.name })))),
      h("div", { class: "two" }, folderForm, filesCard),
      progress,
    ),
  );
  let watching = new AbortController();
  signal.addEventListener("abort", () => watching.abort());
  const running = recent.jobs.filter((one) => !FINISHED.has(one.status));
  const [first, ...others] = [...new Map([named, ...running].filter(Boolean).map((one) => [one.job_id, one])).values()];
  if (first) watch(first, others);

  async function submitFolder() {
    const folder = path.value.trim();
    submitButton.disabled = true;
    await asked(async () => {
      const { collection: name, caption } = options();
      await begun(await post("/ingest/scan", { directory_path: folder, collection: name }, { caption }));
    }, folder, problem, "Allow this folder, and take it in");
    submitButton.disabled = false;
  }

  async function upload(files) {
    if (!files.length) return;
    const most = capabilities.limits.upload_max_files;
    for (let start = 0; start < files.length && !signal.aborted; start += most) {
      const some = files.slice(start, start + most);
      try {
        const job = await send(some, start, files.length);
        if (job.refused.length) fill(uploads, note(`${format.plural(job.refused.length, "file")} left out.`, "warn", h("ul", {}, job.refused.slice(0, 20).map((one) => h("li", {}, `${one.filename}: ${one.reason}`)))));
        else fill(uploads);
        await begun(job);
      } catch (error) {
        if (error.name !== "AbortError") fill(uploads, note(error.message, "bad", h("div", { class: "buttons" }, button("Send again", { picture: "retry", onclick: () => upload(files.slice(start)) }))));
        return;
      } finally {
        picker.value = "";
      }
    }
  }

  /** Sends files as one job. Not by fetch, which tells nothing of how far it is. */
  async function send(files, start, total) {
    await get("/collections/active"); // asks for the key before gigabytes are on their way
    const form = new FormData();
    for (const file of files) form.append("files", file, file.name);
    const sending = new XMLHttpRequest();
    const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Upload", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    const text = h("span", { class: "small soft grow" }, `Sending ${format.plural(files.length, "file")} …`);
    fill(uploads, h("div", { class: "row" }, text, button("Stop", { picture: "close", look: "bare", onclick: () => sending.abort() })), bar);
    sending.upload.addEventListener("progress", (event) => {
      const percent = Math.round((100 * event.loaded) / event.total);
      bar.firstChild.style.width = `${percent}%`;
      bar.setAttribute("aria-valuenow", String(percent));
      text.textContent = `Sent ${format.bytes(event.loaded)} of ${format.bytes(event.total)}${total > files.length ? `, files ${format.count(start + 1)} to ${format.count(start + files.length)} of ${format.count(total)}` : ""}`;
    });
    const { collection: name, caption } = options();
    const query = new URLSearchParams({ caption, ...(name && { collection: name }) });
    return new Promise((resolve, reject) => {
      sending.addEventListener("load", async () => {
        const response = new Response(sending.responseText, { status: sending.status });
        if (response.ok) resolve(await response.json());
        else reject(new ApiError(response.status, await detail(response)));
      });
      sending.addEventListener("error", () => reject(new ApiError(0, "The upload was broken off. Is Darkroom running?")));
      sending.addEventListener("abort", () => {
        fill(uploads);
        reject(new DOMException("stopped", "AbortError"));
      });
      sending.open("POST", `${API}/ingest/upload?${query}`);
      sending.send(form);
    });
  }

  async function begun(job) {
    toast("The job is queued.");
    const status = await request(`/ingest/status/${encodeURIComponent(job.job_id)}`);
    used(status.collection);
    if (signal.aborted) return;
    // Loaded again, the page still shows how it does.
    settle(["ingest"], { collection: status.collection, job: job.job_id });
    watch(status, []);
    progress.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  function watch(job, others) {
    watching.abort();
    watching = new AbortController();
    const panel = jobPanel();
    const result = h("div", { class: "buttons" });
    fill(
      progress,
      h("div", { class: "page-head" }, h("h2", {}, nameOf(job)), h("div", { class: "buttons" }, h("a", { class: "button", href: link(["jobs", job.job_id]) }, "All about this job"), result)),
      h("p", {}),
      panel.element,
      others.length > 0 && h("p", { class: "soft" }, "Also running: ", others.map((one, index) => [index > 0 && ", ", h("a", { href: link(["jobs", one.job_id]) }, nameOf(one))])),
    );
    function draw(status) {
      panel.update(status);
      if (FINISHED.has(status.status)) fill(result, h("a", { class: "button main", href: link(["gallery"], { collection: status.collection, sort: "-ingested_at" }) }, "Show the pictures"));
    }
    draw(job);
    follow(job.job_id, draw, watching.signal);
  }
}

/** The status of a job; null where it is not known (any more). */
async function jobOf(id) {
  try {
    return await get(`/ingest/status/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function takeDrops(root, drop, signal, upload) {
  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  }, { signal });
  root.addEventListener("dragleave", (event) => !root.contains(event.relatedTarget) && drop.classList.remove("over"), { signal });
  root.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    upload(await filesOf(event.dataTransfer));
  }, { signal });
}

/** All files that were dropped, also those inside folders. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  while (entries.length) {
    const entry = entries.shift();
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        entries.push(...some);
      }
    }
  }
  return files;
}
