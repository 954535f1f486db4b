// On every page: the theme, keys, commands that can be copied, and completion of tags.

import { all, find, typing } from "./dom.js";
import { enhance } from "./page.js";
import { say } from "./toast.js";

const THEMES = ["auto", "light", "dark"];

function theme() {
  const button = find("#theme");
  const root = document.documentElement;
  const show = () => {
    const now = root.dataset.theme ?? "auto";
    button.dataset.now = now;
    button.setAttribute("aria-label", `Colours: ${now}`);
    button.title = `Colours: ${now}`;
    for (const icon of all("[data-for]", button)) icon.toggleAttribute("hidden", icon.dataset.for !== now);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem("tagkin-theme");
      else localStorage.setItem("tagkin-theme", next);
    } catch {
      // Where nothing may be stored the choice holds for this page.
    }
    show();
  });
  button.hidden = false;
  show();
}

function keys() {
  const help = find("#keys");
  find("#keys-button").addEventListener("click", () => help.showModal());
  find("#keys-button").hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    if (event.key === "/") {
      event.preventDefault();
      const box = find("[data-search-box]");
      if (box) box.select();
      else location.assign("/#search");
    } else if (event.key === "?" && !help.open) {
      event.preventDefault();
      help.showModal();
    }
  });
}

function commands() {
  for (const button of all("[data-copy]")) {
    // Pages that don't come from this machine or over TLS have no clipboard.
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        say("Copied. Run it in a terminal, then load this page again.");
      } catch {
        say("The browser lets nothing be copied; mark the command and copy it by hand.", { bad: true });
      }
    });
  }
}

// On narrow screens the navigation scrolls.
find("#nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
theme();
keys();
commands();
enhance(document);
for (const hint of all("[data-once]")) {
  const name = `tagkin-${hint.dataset.once}`;
  if (localStorage.getItem(name)) hint.remove();
  find("[data-dismiss]", hint)?.addEventListener("click", () => {
    localStorage.setItem(name, "1");
    hint.remove();
  });
}
// Pictures that can't be shown leave their name.
document.addEventListener(
  "error",
  (event) => {
    if (event.target.tagName === "IMG") event.target.classList.add("broken");
  },
  true,
);
if (location.hash === "#search") find("[data-search-box]")?.focus();
