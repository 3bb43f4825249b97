/**
 * Pictures that were searched with. A file is too large for an address, so that holds a name of it, and this browser
 * keeps the file: another tab, and the page when it is loaded again, find it by that name.
 */

const KEPT = 20;
const MOST_BYTES = 100_000_000;

// Where the browser keeps nothing (a private window, a full disk), they last as long as the page.
const here = new Map();

/** Keeps a file and returns its name for the address. */
export async function keep(file) {
  const name = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  here.set(name, file);
  if (file.size > MOST_BYTES) return name;
  try {
    await inStore("readwrite", (store) => {
      store.put({ name, file, at: Date.now() });
      const names = store.index("at").getAllKeys();
      names.onsuccess = () => names.result.slice(0, -KEPT).forEach((old) => store.delete(old));
    });
  } catch {
    // It is in `here`.
  }
  return name;
}

/** Returns the file of this name; null where it is not kept (any more). */
export async function kept(name) {
  if (here.has(name)) return here.get(name);
  try {
    const found = await inStore("readonly", (store) => store.get(name));
    return found?.file ?? null;
  } catch {
    return null;
  }
}

/** Forgets all of them. */
export async function forgetAll() {
  here.clear();
  await new Promise((resolve) => {
    const request = indexedDB.deleteDatabase("darkroom");
    request.onsuccess = request.onerror = request.onblocked = resolve;
  });
}

/** Returns what the request that `work` returns brings, when all of it is written. */
async function inStore(mode, work) {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open("darkroom", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "name" }).createIndex("at", "at");
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction("pictures", mode);
      const request = work(transaction.objectStore("pictures"));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}
