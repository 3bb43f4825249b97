/** What would help a search: its hint, and the offer of a model where it lacks one. */

import { fill, h } from "../core/dom.js";
import { note, said } from "./basics.js";
import { modelOffer } from "./models.js";

/** `show(source, collection)` draws what a source says once it has answered; `onused`: another model has taken over. */
export function advice(signal, onused) {
  const hint = h("div", {});
  const offer = modelOffer(signal, onused);
  let offered = null;
  return { element: h("div", { class: "advice" }, hint, offer.element), show, hide };

  function show(source, collection) {
    if (source.total === null && !source.error) return;
    // Where nothing was found, it stands there.
    fill(hint, source.hint && source.total > 0 ? note(said(source.hint)) : []);
    if (source.lacks !== "text-model" && source.lacks !== "same-model") offer.hide();
    else if (offered !== source) offer.show({ lacks: source.lacks, collection });
    offered = source;
  }

  function hide() {
    fill(hint);
    offer.hide();
  }
}
