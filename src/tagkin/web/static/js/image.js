// The page of one image: tags put on and taken off.

import { find } from "./dom.js";
import { edit, sayEdited, undo } from "./edits.js";
import { renew } from "./page.js";
import { complain } from "./toast.js";

const PARTS = ["#tags", "#predicted"];
const image = find("#image").dataset.image;

async function change(kind, tag) {
  try {
    const numbers = await edit(image, { [kind]: [tag] });
    await renew(PARTS);
    const text = kind === "add" ? `Added the tag “${tag}”.` : `Removed the tag “${tag}”.`;
    sayEdited(text, numbers, () => renew(PARTS));
    find("#add-tag .field")?.focus({ preventScroll: true });
  } catch (error) {
    complain(error);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-change]");
  if (button) change(button.dataset.change, button.dataset.tag);
  const back = event.target.closest("[data-undo-edit]");
  if (back) {
    undo([Number(back.dataset.undoEdit)])
      .then(() => renew(PARTS))
      .catch(complain);
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "add-tag") return;
  event.preventDefault();
  const tag = find(".field", event.target).value.trim();
  if (tag) change("add", tag);
});
