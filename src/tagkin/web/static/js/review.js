// The queue of proposed merges: one decision after another, by button or by key.

import { post } from "./api.js";
import { all, find, typing } from "./dom.js";
import { renew } from "./page.js";
import { complain, say } from "./toast.js";

const TAKEN = "tagkin-taken"; // what this tab decided, for undo
const PARTS = ["#review", "#decided", "#nav"];
let busy = false;

const taken = () => JSON.parse(sessionStorage.getItem(TAKEN) ?? "[]");
const store = (list) => sessionStorage.setItem(TAKEN, JSON.stringify(list.slice(-200)));

function members() {
  return all("[data-member]").map((side) => ({
    tag: side.dataset.member,
    in: find('input[type="checkbox"]', side)?.checked ?? true,
    kept: find('input[type="radio"]', side)?.checked ?? false,
  }));
}

async function show(address) {
  history.replaceState(null, "", address);
  await renew(PARTS, address);
  swapped();
  scrollTo({ top: 0 });
  find("main").focus({ preventScroll: true });
}

async function decide(act) {
  const group = find("#group");
  const chosen = members().filter((one) => one.in);
  const kept = chosen.find((one) => one.kept) ?? chosen[0];
  const tags = chosen.map((one) => one.tag);
  const others = tags.filter((tag) => tag !== kept?.tag);
  if (tags.length < 2) {
    say("Tick at least two tags.", { bad: true });
    return;
  }
  const wanted = {
    merge: () => [{ kind: "merge", tags, canonical: kept.tag }],
    reject: () => [{ kind: "reject", tags }],
    imply: () => others.map((tag) => ({ kind: "imply", tags: [tag, kept.tag] })),
    "imply-back": () => others.map((tag) => ({ kind: "imply", tags: [kept.tag, tag] })),
    related: () => others.map((tag) => ({ kind: "related", tags: [kept.tag, tag] })),
  }[act]();
  const numbers = [];
  try {
    for (const one of wanted) {
      const answer = await post("decisions", one);
      numbers.push(...answer.decisions.map((decision) => decision.number));
    }
  } finally {
    // What was stored can be undone even if the next one failed.
    const at = { group: group.dataset.group, relation: group.dataset.relation };
    if (numbers.length) store([...taken(), { ...at, numbers }]);
  }
  const list = others.map((tag) => `“${tag}”`).join(", ");
  const said = {
    merge: `Merged ${list} into “${kept.tag}”.`,
    reject: `Kept apart: “${kept.tag}” and ${list}.`,
    imply: `${list} now implies “${kept.tag}”.`,
    "imply-back": `“${kept.tag}” now implies ${list}.`,
    related: `Noted as related: “${kept.tag}” and ${list}.`,
  }[act];
  await show(group.dataset.here);
  say(said, { undo });
}

async function undo() {
  const list = taken();
  const last = list.pop();
  if (!last) {
    say("Nothing was decided in this tab. Older decisions are listed below, each with its undo.");
    return;
  }
  for (const number of [...last.numbers].reverse()) {
    try {
      await post(`decisions/${number}/undo`);
    } catch (error) {
      if (error.status !== 409) throw error; // somebody else was faster: it is undone
    }
  }
  store(list);
  const here = new URLSearchParams(location.search);
  here.set("group", last.group);
  here.set("relation", last.relation);
  await show(`/review?${here}`);
  say("Undone.");
}

async function undoNumber(number) {
  await post(`decisions/${number}/undo`);
  store(taken().filter((one) => !one.numbers.includes(number)));
  await show(location.href);
  say("Undone.");
}

// The words on the buttons follow the name that is kept.
function swapped() {
  const group = find("#group");
  if (!group) return;
  const chosen = members().filter((one) => one.in);
  const kept = chosen.find((one) => one.kept) ?? chosen[0];
  const others = chosen.filter((one) => one !== kept).map((one) => one.tag);
  for (const place of all("[data-kept]")) place.textContent = kept?.tag ?? "";
  for (const place of all("[data-others]")) place.textContent = others.join(", ");
}

function swap() {
  const radios = all('#group input[type="radio"]');
  const now = radios.findIndex((radio) => radio.checked);
  radios[(now + 1) % radios.length].checked = true;
  swapped();
}

async function act(name) {
  if (busy) return;
  const group = find("#group");
  if (!group && name !== "undo") return;
  busy = true;
  try {
    if (name === "undo") await undo();
    else if (name === "swap") swap();
    else if (name === "skip") await show(group.dataset.skip);
    else await decide(name);
  } catch (error) {
    complain(error);
    // 409: somebody else decided meanwhile, so what is shown is no longer true.
    if (error.status === 409) await show(location.href);
  } finally {
    busy = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) act(button.dataset.act);
  const back = event.target.closest("[data-undo-number]");
  if (back) undoNumber(Number(back.dataset.undoNumber)).catch(complain);
});

document.addEventListener("change", (event) => {
  if (event.target.closest("#group")) swapped();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event)) return;
  if (find("dialog[open]")) return;
  const key = event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
  const button = all("[data-key]").find((one) => one.dataset.key === key);
  if (!button || button.disabled) return;
  event.preventDefault();
  act(button.dataset.act);
});

swapped();
