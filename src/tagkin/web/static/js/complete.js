// Completion of tags: a combobox as the ARIA practices describe it.

import { get } from "./api.js";
import { element, later } from "./dom.js";

const SHOWN = 10;
const COUNT = new Intl.NumberFormat("en");
let boxes = 0;

// In a query the word at the caret is completed; else the whole field is one tag.
export function complete(field, isQuery) {
  const id = `completions-${(boxes += 1)}`;
  const list = element("ul", { id, class: "completions", role: "listbox", "aria-label": "Tags" });
  list.hidden = true;
  field.parentElement.append(list);
  for (const [name, value] of Object.entries({
    role: "combobox",
    autocomplete: "off",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": id,
  })) {
    field.setAttribute(name, value);
  }
  let chosen = -1;
  let running = null;

  const close = () => {
    running?.abort();
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const choose = (at) => {
    const options = [...list.children];
    chosen = options.length ? (at + options.length) % options.length : -1;
    options.forEach((option, place) => option.setAttribute("aria-selected", place === chosen));
    options[chosen]?.scrollIntoView({ block: "nearest" });
    if (chosen < 0) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", options[chosen].id);
  };
  const take = (tag) => {
    if (isQuery) {
      const word = wordAt(field);
      const text = word.sign + quoted(tag);
      const rest = field.value.slice(word.end);
      field.value = `${field.value.slice(0, word.start)}${text} ${rest.trimStart()}`;
      const caret = word.start + text.length + 1;
      field.setSelectionRange(caret, caret);
    } else {
      field.value = tag;
    }
    close();
    field.focus();
  };
  const look = later(90, async () => {
    const prefix = isQuery ? wordAt(field).text : field.value.trim();
    running?.abort();
    if (!prefix || document.activeElement !== field) return close();
    running = new AbortController();
    let found;
    try {
      found = await get("complete", { prefix, limit: SHOWN }, running.signal);
    } catch {
      return close(); // completion is a help: a search without it is still a search
    }
    list.replaceChildren(
      ...found.map((tag, place) => {
        const option = element(
          "li",
          { id: `${id}-${place}`, role: "option", "aria-selected": "false" },
          element("span", {}, tag.tag),
          element("span", { class: "faint number" }, COUNT.format(tag.count)),
        );
        option.addEventListener("pointerdown", (event) => {
          event.preventDefault(); // the field keeps the focus
          take(tag.tag);
        });
        return option;
      }),
    );
    chosen = -1;
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
  });

  field.addEventListener("input", look);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(event.key === "ArrowDown" ? chosen + 1 : Math.max(chosen, 0) - 1);
    } else if ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && chosen >= 0)) {
      event.preventDefault();
      take(list.children[chosen].firstElementChild.textContent);
    } else if (event.key === "Enter") {
      close();
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
}

// The word around the caret: where it is, its sign, and its text without quotes.
export function wordAt(field) {
  const before = field.value.slice(0, field.selectionStart ?? field.value.length);
  // An odd number of quotation marks: the caret is inside of quotes, which may hold spaces.
  const open = (before.match(/"/g) ?? []).length % 2 === 1;
  let start = open ? before.lastIndexOf('"') : before.search(/\S*$/);
  if (open && /[-~]/.test(before[start - 1] ?? "") && /\s|^$/.test(before[start - 2] ?? "")) start -= 1;
  const whole = before.slice(start);
  const sign = /^[-~]/.test(whole) ? whole[0] : "";
  return { start, end: before.length, sign, text: whole.slice(sign.length).replaceAll('"', "") };
}

export function quoted(tag) {
  const plain = /^[^\s"~-]\S*$/.test(tag) && !/^(folder|date):/i.test(tag) && !tag.endsWith("*");
  return plain ? tag : `"${tag.replace(/(["\\])/g, "\\$1")}"`;
}
