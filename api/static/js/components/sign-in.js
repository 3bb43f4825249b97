/** Asks for the key, once for all requests that wait for it. */

import { h } from "../core/dom.js";

let asking = null;

/** Returns when the session has begun. */
export function signIn() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

function ask() {
  return new Promise((resolve) => {
    const input = h("input", { class: "input", id: "key", type: "password", required: true, autocomplete: "current-password", "aria-describedby": "key-problem" });
    const problem = h("p", { class: "small", id: "key-problem", role: "alert" });
    const send = h("button", { class: "button main" }, "Sign in");
    const form = h(
      "form",
      {
        method: "dialog",
        onsubmit: async (event) => {
          event.preventDefault();
          send.disabled = true;
          problem.textContent = "";
          const refusal = await begin(input.value);
          send.disabled = false;
          if (refusal) {
            problem.textContent = refusal;
            input.select();
          } else {
            localStorage.setItem("signed-in", "yes");
            dialog.remove();
            resolve();
          }
        },
      },
      h("h2", { id: "sign-in-title" }, "This Darkroom asks for its key"),
      h("p", { class: "soft" }, "It is what DARKROOM_API_KEY was set to. This browser stays signed in for thirty days."),
      h("div", { class: "field" }, h("label", { for: "key" }, "Key"), input, problem),
      h("div", { class: "buttons end" }, send),
    );
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "sign-in-title", oncancel: (event) => event.preventDefault() }, form);
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

/** Begins a session; returns why it was refused, or null. */
async function begin(key) {
  try {
    const response = await fetch("/api/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }) });
    return response.ok ? null : (await response.json()).detail;
  } catch {
    return "Darkroom does not answer. Try again.";
  }
}
