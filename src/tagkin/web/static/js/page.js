// Parts of the page, asked for anew: the server alone knows how they look.

import { Failure } from "./api.js";
import { complete } from "./complete.js";
import { all, find } from "./dom.js";

export async function renew(selectors, address = location.href) {
  const response = await fetch(address, {
    credentials: "same-origin",
    headers: { Accept: "text/html" },
  });
  if (!response.ok) throw new Failure(`The page answered with status ${response.status}.`, response.status);
  const come = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const selector of selectors) {
    const old = find(selector);
    const made = find(selector, come);
    if (!old || !made) continue;
    old.replaceWith(document.adoptNode(made));
    enhance(made);
  }
}

export function enhance(root) {
  for (const field of all("[data-complete]", root)) complete(field, field.dataset.complete === "query");
  for (const select of all("[data-submit]", root)) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
  for (const part of all("[data-script]", root)) part.hidden = false;
}
