/** Where we are stands behind the # of the address: `#/jobs/ID?outcome=failed`. */

/** Reads the address: the parts of its path, and its query. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
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
