/** Where we are stands behind the # of the address: `#/jobs/ID?outcome=failed`. What a view shows follows from it. */

/** Reads the address: the parts of its path, and its query. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Makes an address; empty values are left out. */
export function link(path, query = {}) {
  const chosen = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#/${path.map(encodeURIComponent).join("/")}${chosen.length ? `?${new URLSearchParams(chosen)}` : ""}`;
}

/** Goes there; `replace` leaves no step to go back to. */
export function go(path, query = {}, { replace = false } = {}) {
  const target = link(path, query);
  if (target === location.hash) return;
  if (replace) {
    history.replaceState(null, "", target);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = target;
  }
}

/** Writes into the address what a view has chosen by itself, so that it shows the same when someone comes back. */
export function settle(path, query) {
  history.replaceState(null, "", link(path, query));
}

/** Names a query without the picture that is open: what differs by that alone is the same list. */
export const listOf = (query) => link([], Object.fromEntries(Object.entries({ ...query, image: "" }).sort()));

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a % that somebody typed
  }
}
