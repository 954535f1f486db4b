// Short messages at the lower edge, with one way to take the thing back.

import { element, find } from "./dom.js";

const SECONDS = 8;
const KEPT = "tagkin-toast";

export function say(text, { undo = null, bad = false } = {}) {
  const place = find("#toasts");
  const toast = element("div", { class: bad ? "toast bad" : "toast" }, element("span", {}, text));
  const close = () => toast.remove();
  if (undo) {
    const button = element(
      "button",
      { class: "button tight", type: "button", "data-undo": true },
      "Undo",
    );
    button.addEventListener("click", async () => {
      close();
      await undo();
    });
    toast.append(button);
  }
  toast.append(
    element(
      "button",
      { class: "button plain icon tight", type: "button", "aria-label": "Close", onclick: close },
      "×",
    ),
  );
  while (place.children.length > 2) place.firstElementChild.remove();
  place.append(toast);
  // A message with a way back, or of something that went wrong, must not run away from its reader.
  let timer = setTimeout(close, SECONDS * 1000);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => {
    timer = setTimeout(close, SECONDS * 500);
  });
}

export function complain(error) {
  say(error.message, { bad: true });
}

// Says it on the page that is loaded next.
export function sayNext(text, number = null) {
  sessionStorage.setItem(KEPT, JSON.stringify({ text, number }));
}

export function sayKept(undo) {
  const kept = sessionStorage.getItem(KEPT);
  if (!kept) return;
  sessionStorage.removeItem(KEPT);
  const { text, number } = JSON.parse(kept);
  say(text, { undo: number === null ? null : () => undo(number) });
}
