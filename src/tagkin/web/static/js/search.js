// The search page: the endless grid, and images that are dropped, pasted or chosen.

import { get, upload } from "./api.js";
import { all, find, later } from "./dom.js";
import { Grid } from "./grid.js";
import { fromPage, thumb } from "./thumb.js";
import { complain, say } from "./toast.js";

const box = find("#grid");
if (box) {
  const { path, parameters } = JSON.parse(box.dataset.more);
  const more = find("#more");
  const grid = new Grid(box, {
    first: all(".thumb", box).map(fromPage),
    next: box.dataset.next || null,
    load: (cursor) => get(path, { ...parameters, cursor }),
    thumb: (image) => thumb(image, box.dataset.also || null),
    failed: complain,
  });
  if (more) more.hidden = true; // the link of those without JavaScript
  // Whoever looked at an image comes back to where they were.
  const visit = performance.getEntriesByType("navigation")[0]?.type;
  if (history.state?.place && visit === "back_forward") grid.restore(history.state.place);
  addEventListener("scroll", later(200, () => history.replaceState({ place: grid.place }, "")), {
    passive: true,
  });
  document.addEventListener("keydown", (event) => {
    const inGrid = box.contains(document.activeElement);
    const free = document.activeElement === document.body || document.activeElement === find("main");
    if (!inGrid && free && event.key === "ArrowDown" && grid.count && scrollY === 0) {
      event.preventDefault();
      grid.focus(0);
    }
  });
}

const form = find("#upload");
const file = find("#file");
const drop = find("#drop");
let busy = false;

async function search(chosen) {
  if (busy || !chosen) return;
  if (chosen.type && !chosen.type.startsWith("image/")) {
    say(`'${chosen.name}' is no image.`, { bad: true });
    return;
  }
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  find("#searching").hidden = false;
  try {
    const query = find("[data-search-box]").value.trim();
    const answer = await upload("similar", chosen, { q: query });
    const parameters = new URLSearchParams({ upload: answer.upload });
    if (query) parameters.set("q", query);
    location.assign(`/?${parameters}`);
  } catch (error) {
    complain(error);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    find("#searching").hidden = true;
    file.value = "";
  }
}

file.addEventListener("change", () => search(file.files[0]));
find("#choose").addEventListener("click", () => file.click());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search(file.files[0]);
});

document.addEventListener("paste", (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (!pasted) return;
  event.preventDefault();
  search(pasted);
});

// A thumbnail that is dragged off this very page is no upload.
let ours = false;
let depth = 0;
const carriesFile = (event) => !ours && [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragstart", () => (ours = true));
document.addEventListener("dragend", () => (ours = false));
document.addEventListener("dragenter", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  depth += 1;
  drop.hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!carriesFile(event)) return;
  depth = Math.max(0, depth - 1);
  drop.hidden = depth === 0;
});
document.addEventListener("dragover", (event) => {
  if (carriesFile(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  depth = 0;
  drop.hidden = true;
  search(event.dataTransfer.files[0]);
});
