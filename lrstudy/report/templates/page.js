// The page's switches, tables and downloads. Every text goes in as text, never as markup.
"use strict";

let REPORT;
const wide = matchMedia("(min-width: 700px)");
const darkness = matchMedia("(prefers-color-scheme: dark)");
const shared = { time: "", hidden: new Set(), printed: false };
const scales = new Map(); // figure key, panel and axis → whether it is logarithmic, where the reader chose

function read(report) {
  for (const figure of report.figures) for (const panel of figure.panels) for (const mark of panel.marks) {
    for (const [time, [x, y, low, high]] of Object.entries(mark.points ?? {})) {
      mark.points[time] = { x: report.pool[x], y: report.pool[y], low: report.pool[low], high: report.pool[high] };
    }
  }
  REPORT = report;
  if (!(shared.time in REPORT.times)) shared.time = REPORT.time;
}

function figureOf(part) {
  const key = part.closest("figure").id.replace("figure-", "");
  return REPORT.figures.find((figure) => figure.key === key);
}

function panelState(figure, index) {
  const panel = figure.panels[index];
  const log = (axis) => scales.get(`${figure.key} ${index} ${axis}`) ?? panel[axis].log;
  const time = figure.times.includes(shared.time) ? shared.time : figure.times[0];
  return { time, hidden: shared.hidden, theme: theme(), narrow: !wide.matches, printed: shared.printed,
    log: { x: log("x"), y: log("y") } };
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
    const formula = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && value !== "-infinity";
    const text = value === null ? "" : (formula ? "'" : "") + String(value); // no formula in a spreadsheet
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

// Every switch shows the reader's choice.
function pressAll() {
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  document.querySelectorAll("[data-time]").forEach((one) => press(one, one.dataset.time === shared.time));
  document.querySelectorAll("[data-schedule]").forEach((one) => press(one, !shared.hidden.has(Number(one.dataset.schedule))));
  document.querySelectorAll("[data-log]").forEach((one) =>
    press(one, panelState(figureOf(one), Number(one.dataset.panel)).log[one.dataset.log]));
}

function switchAxis(button) {
  const figure = figureOf(button), index = Number(button.dataset.panel), axis = button.dataset.log;
  scales.set(`${figure.key} ${index} ${axis}`, !panelState(figure, index).log[axis]);
  drawPanel(document.getElementById(`plot-${figure.key}-${index}`), figure.panels[index], panelState(figure, index));
}

function switchTime(button) {
  shared.time = button.dataset.time;
  drawAll(REPORT.figures.filter((figure) => figure.times.length));
}

function switchSchedule(button) {
  const index = Number(button.dataset.schedule);
  shared.hidden[shared.hidden.has(index) ? "delete" : "add"](index);
  drawAll();
}

function switchTheme() {
  document.documentElement.dataset.theme = theme().dark ? "light" : "dark";
  drawAll();
}

// On the document: a live page replaces figures and their buttons.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  const { time, schedule, log, download: key, themeSwitch } = button.dataset;
  if (key !== undefined) download(figureOf(button));
  if (log !== undefined) switchAxis(button);
  if (time !== undefined) switchTime(button);
  if (schedule !== undefined) switchSchedule(button);
  if (themeSwitch !== undefined) switchTheme();
  pressAll();
});
document.addEventListener("toggle", (event) => {
  if (event.target.open && event.target.matches("details.data")) fillTable(figureOf(event.target), event.target.querySelector(".rows"));
}, true); // this event does not bubble
darkness.addEventListener("change", () => drawAll());
wide.addEventListener("change", () => drawAll());

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

read(JSON.parse(document.getElementById("report-data").textContent));
drawAll();
