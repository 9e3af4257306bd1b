// A live page: asks for the state of its run, and replaces what has changed in the report.
"use strict";

const bar = document.querySelector(".live");
let version = Number(bar.dataset.version);

function say(kind, words, at) {
  bar.dataset.kind = kind;
  bar.querySelector(".words").textContent = words;
  bar.querySelector("time").textContent = at ? `as of ${new Date(at).toLocaleTimeString()}` : "";
}

// Scripts fill plots and tables of numbers; "open" and "aria-pressed" are the reader's.
const KEPT = ["open", "aria-pressed"];

function morph(before, after) {
  if (before.nodeType !== Node.ELEMENT_NODE) {
    if (before.data !== after.data) before.data = after.data;
    return;
  }
  if (before.matches(".plot")) {
    before.setAttribute("aria-label", after.getAttribute("aria-label"));
    return;
  }
  for (const { name, value } of after.attributes) {
    if (!KEPT.includes(name) && before.getAttribute(name) !== value) before.setAttribute(name, value);
  }
  for (const { name } of [...before.attributes]) {
    if (!KEPT.includes(name) && !after.hasAttribute(name)) before.removeAttribute(name);
  }
  if (!before.matches(".rows")) morphChildren(before, after);
}

function morphChildren(before, after) {
  const left = [...before.childNodes];
  let place = before.firstChild;
  for (const wanted of [...after.childNodes]) {
    const at = left.findIndex((one) => one.nodeName === wanted.nodeName && (one.id ?? "") === (wanted.id ?? ""));
    if (at < 0) {
      before.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    const [same] = left.splice(at, 1);
    morph(same, wanted);
    if (same === place) place = place.nextSibling;
    else before.insertBefore(same, place);
  }
  for (const one of left) {
    if (one.nodeType === Node.ELEMENT_NODE) one.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.purge(plot));
    one.remove();
  }
}

// The part that the reader looks at stays where it is on the screen.
function inPlace(change) {
  const parts = scrollY > 0 ? [...document.querySelectorAll("section, figure")] : [];
  const seen = parts.findLast((one) => one.getBoundingClientRect().top < innerHeight / 2);
  const top = seen?.getBoundingClientRect().top;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: "instant" });
}

function refillTables() {
  for (const box of document.querySelectorAll("details.data > .rows")) {
    if (!box.childElementCount) continue;
    const at = box.scrollTop;
    box.replaceChildren();
    if (box.parentElement.open) fillTable(figureOf(box), box);
    box.scrollTop = at;
  }
}

function replaceReport(page) {
  const hidden = new Set([...shared.hidden].map((index) => REPORT.schedules[index].name));
  const body = new DOMParser().parseFromString(page.body, "text/html").body;
  inPlace(() => {
    for (const part of body.children) morph(document.querySelector(`body > ${part.localName}`), part);
    read(page.data);
    shared.hidden = new Set(REPORT.schedules.flatMap((one, index) => (hidden.has(one.name) ? [index] : [])));
    pressAll();
    refillTables();
  });
  document.title = page.title;
  drawAll();
}

async function poll() {
  try {
    const answer = await fetch(`state${location.search}&version=${version}`,
      { cache: "no-store", signal: AbortSignal.timeout(60000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const state = await answer.json();
    if (state.page) replaceReport(state.page);
    say(state.kind, state.words, state.at);
    version = state.version;
  } catch {
    say("gone", "lrstudy watch has ended, or was started again with another address. This is what it showed last.");
  }
  setTimeout(poll, 1000 * Number(bar.dataset.every));
}

say(bar.dataset.kind, bar.querySelector(".words").textContent, bar.dataset.at);
setTimeout(poll, 1000 * Number(bar.dataset.every));
