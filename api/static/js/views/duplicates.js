/** Identical files and pictures that look alike, side by side; archiving them, and taking it back. */

import { address, get, post } from "../core/api.js";
import { filled, opened, used } from "../core/collections.js";
import { fill, h } from "../core/dom.js";
import * as format from "../core/format.js";
import { go, here, link, listOf, settle } from "../core/router.js";
import { ended } from "../core/runs.js";
import { badge, button, empty, failure, pageHead, select, table, tabs } from "../components/basics.js";
import { archiveCopies, archivePictures, undo } from "../components/archiving.js";
import { show as showDialog } from "../components/dialog.js";
import { attempt } from "../components/toast.js";
import { openViewer } from "../components/viewer.js";

const PAGE = 20;
const KINDS = { "job-duplicates": "Duplicates of a job", "exact-duplicates": "Identical files", selection: "Selected pictures" };
const HOW_ALIKE = [["0.99", "Almost the same"], ["0.97", "Very much alike"], ["0.95", "Much alike"], ["0.9", "Alike"]];

export const title = "Duplicates";

export async function show(root, { query, signal }) {
  let drawing = new AbortController();
  let shown = null;
  signal.addEventListener("abort", () => drawing.abort());
  await take(query);
  return { update: (next) => take(next).catch((error) => fill(root, failure(error, () => take(next)))) };

  /** Draws what the address asks for, unless only the picture is another one. */
  async function take(next) {
    if (shown?.list === listOf(next)) {
      shown.openAt(next.image);
      return;
    }
    drawing.abort();
    drawing = new AbortController();
    shown = null;
    const { signal: current } = drawing;
    try {
      const { settled, openAt } = await draw(root, next, current);
      settle(["duplicates"], settled);
      shown = { list: listOf(settled), openAt };
      openAt(settled.image);
    } catch (error) {
      if (!current.aborted) throw error;
    }
  }
}

/** Builds the page; returns its whole address, and how to open a picture. */
async function draw(root, query, signal) {
  const { name: chosen, known } = await opened(query.collection);
  const exists = known.some((one) => one.name === chosen);
  const tab = query.show || "found";
  const isSearch = tab === "found" && exists;
  const report = isSearch && (await reportOf(query.report, chosen, signal));
  if (report?.collection && report.collection !== chosen) return draw(root, { ...query, collection: report.collection }, signal);
  signal.throwIfAborted();
  const now = { ...query, collection: chosen, report: isSearch ? report?.report_id : query.report };
  let groups = [];
  let viewer = null;
  const names = [...new Set([...known.map((one) => one.name), chosen])];
  const collection = select(names.map((name) => [name, name]), chosen, { "aria-label": "Collection", onchange: () => (used(collection.value), go(["duplicates"], { collection: collection.value, show: query.show })) });
  const alike = select(HOW_ALIKE, HOW_ALIKE.find(([value]) => Number(value) === report?.threshold)?.[0] ?? "0.97", { "aria-label": "How much alike" });
  const look = button("Look for duplicates", { picture: "search", look: "main", onclick: attempt(begin) });
  const body = h("div", { class: "body-parts" });
  fill(
    root,
    h(
      "div",
      { class: "page" },
      pageHead("Duplicates", "The same content in several files, and pictures that look alike. What is archived moves into .darkroom-archive beside it, and can be moved back.", h("div", {}, collection), isSearch && [h("div", {}, alike), look]),
      tabs("Show", [["found", "Found"], ["archives", "Archived before"]], tab, (key) => go(["duplicates"], { ...now, image: "", show: key })),
      body,
    ),
  );
  signal.addEventListener("abort", () => viewer?.close());
  if (tab === "archives") drawArchives();
  else if (!known.length) fill(body, empty("duplicates", "Nothing here yet", `There is no collection “${chosen}” yet: the first job makes it.`, h("a", { class: "button main", href: link(["ingest"]) }, "Take in photographs")));
  else if (!exists) fill(body, empty("collections", `There is no collection “${chosen}”`, "It was deleted, or no job has made it yet.", filled(known).slice(0, 3).map((one) => h("a", { class: "button", href: link(["duplicates"], { collection: one.name }) }, `Show “${one.name}” (${format.count(one.points)})`))));
  else if (report) drawReport();
  else if (query.report) fill(body, empty("duplicates", "This report is not kept any more", "Look again."));
  else fill(body, empty("duplicates", "Not looked for yet", `All pictures of “${chosen}” are compared with each other. In a large collection that takes a while; the report is kept.`));
  return { settled: now, openAt };

  async function begin() {
    const begun = await post("/duplicates/find-similar", { collection: chosen, threshold: Number(alike.value) });
    go(["duplicates"], { collection: chosen, report: begun.report_id });
  }

  async function drawReport() {
    const state = h("div", { class: "grid-end", role: "status" }, "Looking …");
    const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Pictures compared", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    fill(body, bar, state);
    try {
      const first = await ended(`/duplicates/report/${report.report_id}`, (progress) => {
        const percent = progress.total_points ? Math.round((100 * progress.read_points) / progress.total_points) : 0;
        bar.setAttribute("aria-valuenow", String(percent));
        bar.firstChild.style.width = `${percent}%`;
        state.textContent = `Compared ${format.count(progress.read_points)} of ${format.count(progress.total_points)} pictures …`;
      }, signal);
      await drawGroups(first);
    } catch (error) {
      if (!signal.aborted) fill(body, failure(error, drawReport));
    }
  }

  async function drawGroups({ groups_total: total, read_points: compared, at }) {
    const when = h("span", { class: "soft small grow" }, `${format.plural(compared, "picture")} compared, ${format.dateTime(at)}`);
    if (!total) {
      fill(body, empty("good", "No duplicates", `Each picture of “${chosen}” lies in one file, and none looks like another.`, when));
      return;
    }
    const list = h("div", { class: "body-parts" });
    const end = h("div", { class: "grid-end" });
    const summary = h("strong", { role: "status" }, format.plural(total, "group"));
    const all = button("Archive all copies", { picture: "archive", onclick: attempt(async () => (await archiveCopies([], chosen, drawReport)) && drawReport()) });
    fill(body, h("div", { class: "selection" }, summary, when, all), list, end);
    groups = [];
    let cursor = null;
    await next();

    async function next() {
      const page = await get(`/duplicates/report/${report.report_id}`, { limit: PAGE, cursor }, signal);
      cursor = page.next;
      const there = page.groups.filter((one) => one.images.length > 0);
      groups.push(...there.map((one) => one.images.map(({ id, payload }) => ({ id, filename: payload.filename || "Unnamed" }))));
      list.append(...there.map((one) => (one.kind === "exact" ? exact(one.images[0]) : similar(one.images))));
      fill(end, cursor ? button("Show more", { onclick: attempt(next) }) : "");
      viewer?.refresh();
    }
  }

  /** One content. Its files are equal, so one picture shows them all. */
  function exact({ id, payload, paths_total: copies }) {
    const paths = [...payload.paths].sort((one, other) => (other === payload.full_path) - (one === payload.full_path));
    const kept = paths[0];
    return h(
      "section",
      { class: "pair-group", "aria-label": `Copies of ${payload.filename}` },
      h("img", { src: thumbnail(id), alt: payload.filename || "", loading: "lazy" }),
      h(
        "div",
        { class: "body-parts" },
        h(
          "div",
          { class: "row between" },
          h("h2", {}, payload.filename),
          h("span", { class: "soft small grow" }, [...size(payload), copies > 1 ? `${format.count(copies)} identical files` : "one file is left"].join(" · ")),
          copies > 1 && button("Archive the copies", { picture: "archive", onclick: attempt(async () => (await archiveCopies([id], chosen, drawReport)) && drawReport()) }),
        ),
        h(
          "div",
          { class: "side-by-side", tabindex: "0", role: "group", "aria-label": "Its files" },
          paths.map((path) => h("div", { class: `twin ${path === kept ? "keep" : ""}` }, path === kept ? badge("stays", "good") : badge("copy"), h("strong", {}, format.fileName(path)), h("span", { class: "mono soft" }, path.slice(0, path.length - format.fileName(path).length)))),
          copies > paths.length && h("div", { class: "twin" }, `and ${format.count(copies - paths.length)} more`),
        ),
      ),
    );
  }

  /** Several contents that look alike. */
  function similar(images) {
    const areas = images.map(({ payload }) => (payload.width ?? 0) * (payload.height ?? 0));
    const largest = Math.max(...areas);
    const differ = Math.min(...areas) < largest;
    return h(
      "section",
      { class: "card", "aria-label": `Pictures like ${named(images[0])}` },
      h("div", { class: "row between" }, h("h2", {}, "Look alike"), h("span", { class: "soft small" }, format.plural(images.length, "picture"))),
      h(
        "div",
        { class: "side-by-side", tabindex: "0", role: "group", "aria-label": "Pictures that look alike" },
        images.map(({ id, payload, score }, index) => {
          const name = named(images[index]);
          const isLargest = differ && areas[index] === largest;
          const archived = !(payload.paths ?? []).length;
          return h(
            "div",
            { class: `twin ${isLargest ? "keep" : ""}` },
            h("button", { type: "button", class: "look", "aria-label": `Look at ${name}`, onclick: () => go(["duplicates"], { ...now, image: id }) }, h("img", { src: thumbnail(id), alt: "", loading: "lazy" })),
            h("div", { class: "row" }, badge(`${Math.floor(score * 100)} % alike`, "calm"), isLargest && badge("largest", "good")),
            h("strong", {}, name),
            h("span", { class: "small soft" }, size(payload).join(" · ")),
            archived ? badge("archived") : button("Archive", { picture: "archive", "aria-label": `Archive ${name}`, onclick: attempt(async () => (await archivePictures([id], chosen, drawReport)) && drawReport()) }),
          );
        }),
      ),
    );
  }

  function openAt(id) {
    if (!id) viewer?.close();
    else if (viewer) viewer.show(id);
    else {
      viewer = openViewer({
        id,
        pictures: () => groups.find((group) => group.some((picture) => picture.id === id)) ?? [],
        collection: chosen,
        more: () => {},
        onturn: (next) => go(["duplicates"], { ...now, image: next }, { replace: true }),
        onclose: () => {
          viewer = null;
          if (!signal.aborted && here().query.image) go(["duplicates"], { ...now, image: "" });
        },
        onsimilar: (picture) => go(["gallery"], { collection: chosen, like: picture }),
        onarchive: async (picture) => (await archivePictures([picture], chosen, drawReport)) && (viewer?.close(), drawReport()),
      });
    }
  }

  function thumbnail(id) {
    return address(`/images/${id}/thumbnail`, { collection: chosen });
  }

  async function drawArchives() {
    try {
      const { archives } = await get("/archive", {}, signal);
      if (!archives.length) {
        fill(body, empty("archive", "Nothing was archived", "What is archived here or in the gallery is listed, and can be moved back."));
        return;
      }
      fill(body, table("Archives", [["When"], ["What"], ["Collection"], ["Archived", "number"], ["Moved back", "number"], ["Left in place", "number"], ["Actions"]], archives.map(archiveRow)));
    } catch (error) {
      if (!signal.aborted) fill(body, failure(error, drawArchives));
    }
  }

  function archiveRow(archive) {
    const inIt = archive.files.archived ?? 0;
    const back = button("Undo", { picture: "undo", onclick: attempt(async () => (await undo(archive.archive_id), drawArchives())) });
    return h(
      "tr",
      {},
      h("td", {}, format.dateTime(archive.at)),
      h("td", {}, KINDS[archive.kind] ?? archive.kind),
      h("td", {}, archive.collection),
      h("td", { class: "number" }, format.count(inIt)),
      h("td", { class: "number" }, format.count(archive.files.restored ?? 0)),
      h("td", { class: "number" }, format.count(archive.files.refused ?? 0)),
      h("td", {}, h("div", { class: "buttons" }, button("Files", { onclick: attempt(() => showFiles(archive)) }), inIt > 0 && back)),
    );
  }

  async function showFiles(archive) {
    const report = await get(`/archive/${archive.archive_id}`);
    const looks = { archived: "calm", restored: "good", refused: "bad" };
    showDialog(KINDS[archive.kind] ?? "Archive", table("Files of the archive", [["File"], ["State"], ["Reason"]], report.files.map((file) => h("tr", {}, h("td", { class: "path" }, file.path), h("td", {}, badge(file.state, looks[file.state] ?? "")), h("td", { class: "wrap" }, format.without(file.reason || "", file.path))))), { wide: true });
  }
}

const named = ({ payload }) => payload.filename || "Unnamed";

/** The report of this id, else the newest one of the collection; null where none is kept. */
async function reportOf(id, collection, signal) {
  if (!id) return (await get("/duplicates/reports", { collection }, signal)).reports[0] ?? null;
  try {
    return await get(`/duplicates/report/${encodeURIComponent(id)}`, { limit: 1 }, signal);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function size(payload) {
  return [payload.file_size && format.bytes(payload.file_size), payload.width && `${payload.width} × ${payload.height}`].filter(Boolean);
}
