// The page's switches, tables and downloads. Every text goes in as text, never as markup.
"use strict";

const REPORT = JSON.parse(document.getElementById("report-data").textContent);
for (const figure of REPORT.figures) for (const panel of figure.panels) for (const mark of panel.marks) {
  for (const [time, [x, y, low, high]] of Object.entries(mark.points ?? {})) {
    mark.points[time] = { x: REPORT.pool[x], y: REPORT.pool[y], low: REPORT.pool[low], high: REPORT.pool[high] };
  }
}
const wide = matchMedia("(min-width: 700px)");
const darkness = matchMedia("(prefers-color-scheme: dark)");
const shared = { time: REPORT.time, hidden: new Set(), printed: false };
const scales = new Map(); // figure key and panel → {x, y}: whether the axis is logarithmic

function panelState(figure, index) {
  const key = `${figure.key} ${index}`;
  const panel = figure.panels[index];
  if (!scales.has(key)) scales.set(key, { x: panel.x.log, y: panel.y.log });
  const time = figure.times.includes(shared.time) ? shared.time : figure.times[0];
  return { time, hidden: shared.hidden, theme: theme(), narrow: !wide.matches, printed: shared.printed, log: scales.get(key) };
}

function drawFigure(figure) {
  return Promise.all(figure.panels.map((panel, index) =>
    drawPanel(document.getElementById(`plot-${figure.key}-${index}`), panel, panelState(figure, index))));
}

let round = 0;

async function drawAll(figures = REPORT.figures) {
  const mine = ++round;
  delete document.documentElement.dataset.ready;
  for (const figure of figures) {
    if (mine !== round) return; // a later switch draws everything again
    await drawFigure(figure);
    await new Promise((resume) => setTimeout(resume)); // let the page scroll between two figures
  }
  if (mine === round) document.documentElement.dataset.ready = "true";
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function cellText(value) {
  if (value === null) return "";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(5))) : String(value);
}

function fillTable(figure, box) {
  if (box.childElementCount) return;
  const table = element("table");
  const head = element("tr");
  figure.table.columns.forEach((name) => head.append(element("th", name, { scope: "col" })));
  table.append(element("thead"));
  table.tHead.append(head);
  const body = element("tbody");
  for (const row of figure.table.rows) {
    const line = element("tr");
    row.forEach((value) => line.append(element("td", cellText(value), typeof value === "number" ? { class: "n" } : {})));
    body.append(line);
  }
  table.append(body);
  box.append(table);
}

// RFC 4180, with the numbers as they stand in the tables/ folder beside this page.
function csv(figure) {
  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [figure.table.columns, ...figure.table.rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function download(figure) {
  const address = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv;charset=utf-8" }));
  const link = element("a", "", { href: address, download: `${figure.key}.csv` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

function wireFigure(figure) {
  const box = document.getElementById(`figure-${figure.key}`);
  box.querySelector("[data-download]")?.addEventListener("click", () => download(figure));
  box.querySelector("details.data")?.addEventListener("toggle", (event) => {
    if (event.target.open) fillTable(figure, box.querySelector(".rows"));
  });
  for (const button of box.querySelectorAll("[data-log]")) {
    button.addEventListener("click", () => {
      const index = Number(button.dataset.panel), axis = button.dataset.log;
      const state = panelState(figure, index);
      state.log[axis] = !state.log[axis];
      press(button, state.log[axis]);
      drawPanel(document.getElementById(`plot-${figure.key}-${index}`), figure.panels[index], state);
    });
  }
}

function wireShared() {
  for (const button of document.querySelectorAll("[data-time]")) {
    button.addEventListener("click", () => {
      shared.time = button.dataset.time;
      document.querySelectorAll("[data-time]").forEach((other) => press(other, other === button));
      drawAll(REPORT.figures.filter((figure) => figure.times.length));
    });
  }
  for (const button of document.querySelectorAll("[data-schedule]")) {
    button.addEventListener("click", () => {
      const index = Number(button.dataset.schedule);
      const hide = !shared.hidden.has(index);
      shared.hidden[hide ? "add" : "delete"](index);
      press(button, !hide);
      drawAll();
    });
  }
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
    document.documentElement.dataset.theme = theme().dark ? "light" : "dark";
    drawAll();
  });
  darkness.addEventListener("change", () => drawAll());
  wide.addEventListener("change", () => drawAll());
}

// Paper is white: print in the light theme and come back afterwards.
let before;
addEventListener("beforeprint", () => {
  before = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  shared.printed = true;
  REPORT.figures.forEach(drawFigure);
});
addEventListener("afterprint", () => {
  shared.printed = false;
  if (before === undefined) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = before;
  drawAll();
});

REPORT.figures.forEach(wireFigure);
wireShared();
drawAll();
