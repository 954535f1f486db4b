"use strict";
(() => {
  const PAGE = 50;
  const AP = 5, WITHIN = 13, CURVE = 14, SHOWN = 13;
  const COUNTS = new Set([1, 2, 3, 4]);
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const folded = rows.map(row => row[0].toLowerCase());
  const table = document.getElementById("table");
  const rareBelow = Number(table.dataset.rareBelow), frequentFrom = Number(table.dataset.frequentFrom);
  const body = table.tBodies[0];
  const find = document.getElementById("find");
  const group = document.getElementById("group");
  const groups = {
    rare: row => row[1] < rareBelow,
    middling: row => row[1] >= rareBelow && row[1] < frequentFrom,
    frequent: row => row[1] >= frequentFrom,
    chance: row => row[WITHIN] === 1,
  };
  let column = 1, falling = true, page = 0, order = [];

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function compare(a, b) {
    const x = rows[a][column], y = rows[b][column];
    // What is unknown stays at the end either way.
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    const difference = column === 0 ? folded[a].localeCompare(folded[b]) : x - y;
    return (falling ? -difference : difference) || a - b;
  }

  function choose() {
    const wanted = find.value.trim().toLowerCase();
    const fits = groups[group.value] || (() => true);
    order = rows.map((_, i) => i).filter(i => fits(rows[i]) && folded[i].includes(wanted));
    order.sort(compare);
    page = 0;
    draw();
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const some = order.slice(page * PAGE, (page + 1) * PAGE);
    body.replaceChildren(...some.map(drawRow));
    document.getElementById("shown").textContent =
      `${order.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} tags`;
    document.getElementById("page").textContent = `Page ${page + 1} of ${pages}`;
    document.getElementById("earlier").disabled = page === 0;
    document.getElementById("later").disabled = page === pages - 1;
    table.querySelectorAll("thead th").forEach((head, i) => head.setAttribute(
      "aria-sort", i !== column ? "none" : falling ? "descending" : "ascending"));
  }

  function drawRow(place) {
    const row = rows[place], line = element("tr"), head = element("th");
    head.scope = "row";
    const open = element("button");
    open.type = "button";
    open.setAttribute("aria-expanded", "false");
    open.append(element("bdi", row[0]));
    open.addEventListener("click", () => toggle(line, open, row));
    head.append(open);
    if (row[WITHIN]) head.append(element("span", "within chance", "chance"));
    line.append(head);
    for (let i = 1; i < SHOWN; i++) {
      const value = row[i];
      const text = value === null ? "–" : COUNTS.has(i) ? value.toLocaleString("en") : value.toFixed(3);
      line.append(element("td", text, "number"));
    }
    return line;
  }

  function toggle(line, open, row) {
    const after = line.nextElementSibling;
    if (after && after.className === "curve") {
      after.remove();
      open.setAttribute("aria-expanded", "false");
      return;
    }
    const extra = element("tr", undefined, "curve"), cell = element("td");
    cell.colSpan = SHOWN;
    if (row[CURVE]) cell.append(drawCurve(row));
    else cell.append(element("p", "It is on no validation image.", "note"));
    extra.append(cell);
    line.after(extra);
    open.setAttribute("aria-expanded", "true");
  }

  function shape(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function drawCurve(row) {
    // Two digits each, so that 99 stands for all from there to 1.
    const precisions = row[CURVE].match(/../g).map(digits => Number(digits) === 99 ? 1 : Number(digits) / 100);
    const left = recall => 44 + recall * 200, top = precision => 130 - precision * 118;
    const svg = shape("svg", {
      viewBox: "0 0 256 168", class: "plot", role: "img",
      "aria-label": `Precision at recalls 0 to 1 in tenths: ${precisions.join(", ")}`,
    });
    for (const tick of [0, 0.5, 1]) {
      svg.append(
        shape("line", { class: "grid", x1: 44, x2: 244, y1: top(tick), y2: top(tick) }),
        shape("text", { x: 38, y: top(tick) + 4, "text-anchor": "end" }, tick),
        shape("text", { x: left(tick), y: 145, "text-anchor": "middle" }, tick));
    }
    svg.append(
      shape("text", { class: "label", x: 144, y: 163, "text-anchor": "middle" }, "recall"),
      shape("text", { class: "label", transform: "translate(12 71) rotate(-90)", "text-anchor": "middle" }, "precision"),
      shape("polyline", { class: "first", points: precisions.map((p, i) => `${left(i / 10)},${top(p)}`).join(" ") }));
    return svg;
  }

  table.tHead.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const chosen = Number(button.dataset.column);
    falling = chosen === column ? !falling : chosen !== 0;
    column = chosen;
    choose();
  });
  find.addEventListener("input", choose);
  group.addEventListener("change", choose);
  document.getElementById("controls").addEventListener("submit", event => event.preventDefault());
  document.getElementById("earlier").addEventListener("click", () => { page--; draw(); });
  document.getElementById("later").addEventListener("click", () => { page++; draw(); });
  choose();
})();
