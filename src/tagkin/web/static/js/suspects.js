// Images whose tags and whose looks disagree: one click puts it right, one more takes it back.

import { all, find } from "./dom.js";
import { edit, undo } from "./edits.js";
import { complain, say } from "./toast.js";

async function fix(card, button) {
  const { image, tag, kind } = card.dataset;
  if (button.dataset.do === "leave") {
    finish(card, "Left as it is.", null);
    return;
  }
  const numbers = await edit(image, kind === "missing" ? { add: [tag] } : { remove: [tag] });
  finish(card, kind === "missing" ? "Added." : "Removed.", numbers);
  const text = kind === "missing" ? `Added “${tag}”.` : `Removed “${tag}”.`;
  say(text, { undo: () => back(card, numbers) });
}

function finish(card, text, numbers) {
  card.classList.add("done");
  card.dataset.edited = numbers ? "yes" : "";
  find(".acts-of-card", card).hidden = true;
  const done = find(".done-of-card", card);
  find("span", done).textContent = text;
  done.hidden = false;
  const button = find("button", done);
  button.onclick = () => back(card, numbers ?? []).catch(complain);
  if (!all(".suspect:not(.done)").length) finishPage();
  button.focus({ preventScroll: true });
}

// What was edited leaves the list, so that the first page shows the next ones; what was left stays in it.
function finishPage() {
  const hint = find("#all-done");
  const edited = all(".suspect").some((card) => card.dataset.edited);
  if (!edited && hint.dataset.next) find("a", hint).href = hint.dataset.next;
  hint.hidden = false;
  hint.scrollIntoView({ block: "center" });
}

async function back(card, numbers) {
  await undo(numbers);
  card.classList.remove("done");
  find(".acts-of-card", card).hidden = false;
  find(".done-of-card", card).hidden = true;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  button.disabled = true;
  try {
    await fix(button.closest(".suspect"), button);
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
});

if (find("#working")) setTimeout(() => location.reload(), 1500);
