// Draws the figures that the report computed: descriptions in, plotly traces out. No statistics here.
"use strict";

const FONT = getComputedStyle(document.documentElement).getPropertyValue("--sans");

function theme() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return { ink: value("--ink"), soft: value("--soft"), line: value("--line"), grid: value("--grid"),
           card: value("--card"), dark: value("--scheme") === "dark" };
}

// Plotly reads a few HTML tags and entities in its text; the report's text is text.
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function shorten(text, limit) {
  const letters = Array.from(text);
  return letters.length > limit ? letters.slice(0, limit - 1).join("") + "…" : text;
}

// A label on at most two lines, broken behind a space or a hyphen where there is one.
function onTwoLines(text, limit) {
  const letters = Array.from(text);
  if (letters.length <= limit) return plain(text);
  const breaks = letters.slice(0, limit).map((letter, i) => (" -_".includes(letter) ? i + 1 : 0));
  const first = Math.max(...breaks) || limit;
  return plain(letters.slice(0, first).join("")) + "<br>" + plain(shorten(letters.slice(first).join(""), limit));
}

function faded(colour, alpha) {
  const parts = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${parts.join(",")},${alpha})`;
}

function format(value, axis) {
  if (value === null || value === undefined) return "–";
  if (axis.percent) return `${Number((100 * value).toPrecision(4))}%`;
  return String(Number(value.toPrecision(4)));
}

function coordinates(mark, time) {
  return mark.points[time] ?? Object.values(mark.points)[0];
}

// A band's outline: along its upper end and back along its lower one, one loop for each stretch without gaps.
function outline(points, step, floor) {
  const x = [], y = [];
  let upper = [], lower = [];
  const close = () => {
    const path = upper.concat(lower.reverse());
    if (path.length) {
      path.push(path[0]);
      path.forEach(([a, b]) => { x.push(a); y.push(b); });
      x.push(null); y.push(null);
    }
    upper = []; lower = [];
  };
  points.x.forEach((at, i) => {
    let low = points.low[i], high = points.high[i];
    if (at === null || low === null || high === null) { close(); return; }
    low = Math.max(low, floor); high = Math.max(high, floor);
    if (step && upper.length) {
      upper.push([at, upper[upper.length - 1][1]]);
      lower.push([at, lower[lower.length - 1][1]]);
    }
    upper.push([at, high]); lower.push([at, low]);
  });
  close();
  return { x, y };
}

function smallestPositive(panel, time) {
  let least = Infinity;
  for (const mark of panel.marks) {
    if (mark.points) for (const y of coordinates(mark, time).y) if (y > 0 && y < least) least = y;
  }
  return Number.isFinite(least) ? least / 3 : 1e-12;
}

// Many strong bands would hide one another; those that a reader picks out grow stronger again.
function bandStrength(panel, state) {
  const bands = panel.marks.filter((mark) => mark.kind === "line" && !mark.dim && !state.hidden.has(mark.schedule)
    && coordinates(mark, state.time).low.length).length;
  return Math.max(0.06, 0.18 / Math.max(1, bands / 1.5) ** 0.5) * (state.theme.dark ? 1.3 : 1);
}

function lineTraces(mark, look, panel, state) {
  const points = coordinates(mark, state.time);
  const colour = state.theme.dark ? look.dark : look.light;
  const traces = [];
  if (points.low.length && !mark.dim) {
    const floor = state.log.y ? smallestPositive(panel, state.time) : -Infinity;
    const band = outline(points, mark.step, floor);
    if (band.x.length) traces.push({ type: "scatter", mode: "lines", x: band.x, y: band.y, fill: "toself",
      fillcolor: faded(colour, bandStrength(panel, state)), line: { width: 0 }, hoverinfo: "skip" });
  }
  const hover = points.x.map((at, i) => {
    const range = points.low.length && points.low[i] !== null
      ? ` (${format(points.low[i], panel.y)} to ${format(points.high[i], panel.y)})` : "";
    return `${plain(mark.label)}<br>${plain(axisTitle(panel.x, state.time))} ${format(at, panel.x)}: ` +
      `${format(points.y[i], panel.y)}${range}`;
  });
  traces.push({ type: "scatter", mode: mark.dim ? "lines" : "lines+markers", x: points.x, y: points.y, opacity: mark.dim ? 0.45 : 1,
    line: { color: colour, dash: look.dash, width: mark.dim ? 1 : 2.2, shape: mark.step ? "hv" : "linear" },
    marker: { color: colour, symbol: look.marker, size: 7, maxdisplayed: 8 },
    hoverinfo: "text", hovertext: hover, connectgaps: false });
  return traces;
}

function dotTraces(mark, look, panel, state) {
  const points = coordinates(mark, state.time);
  const colour = state.theme.dark ? look.dark : look.light;
  const hover = points.x.map((at, i) => `${plain(mark.label)}${mark.labels[i] ? ": " + plain(mark.labels[i]) : ""}` +
    `<br>${plain(axisTitle(panel.x, state.time))} ${format(at, panel.x)}, ` +
    `${plain(panel.y.title)} ${format(points.y[i], panel.y)}`);
  return [{ type: "scatter", mode: "markers", x: points.x, y: points.y, hoverinfo: "text", hovertext: hover,
    marker: { color: colour, symbol: mark.crossed ? "x-thin" : look.marker, size: mark.crossed ? 9 : 7,
              opacity: 0.8, line: { color: colour, width: mark.crossed ? 2 : 0 } } }];
}

function estimateTraces(mark, look, panel, state) {
  if (mark.value === null) return [];
  const colour = state.theme.dark ? look.dark : look.light;
  const open = (mark.low === null) !== (mark.high === null);
  const [least, most] = panel.x.range ?? [mark.value, mark.value];
  const low = mark.low ?? (open ? least : mark.value), high = mark.high ?? (open ? most : mark.value);
  const hover = `${plain(mark.row)}<br>${plain(mark.text)}`;
  const traces = [{ type: "scatter", mode: "lines", x: [low, high], y: [mark.place, mark.place],
    line: { color: colour, width: 4 }, hoverinfo: "text", hovertext: [hover, hover] },
  { type: "scatter", mode: "markers", x: [mark.value], y: [mark.place], hoverinfo: "text", hovertext: [hover],
    marker: { color: colour, symbol: look.marker, size: 12 } }];
  if (mark.wide) traces.unshift({ type: "scatter", mode: "lines", x: mark.wide, y: [mark.place, mark.place],
    line: { color: colour, width: 1 }, hoverinfo: "skip" });
  if (open) traces.push({ type: "scatter", mode: "markers", hoverinfo: "skip", x: [mark.low === null ? low : high],
    y: [mark.place], marker: { color: colour, size: 10, symbol: mark.low === null ? "triangle-left" : "triangle-right" } });
  return traces;
}

function axisTitle(axis, time) {
  return axis.time && time ? REPORT.times[time] : axis.title;
}

// Decades, or 1-2-5 within few decades, over the values that are drawn; plotly's own minor digits crowd.
function logTicks(values, most) {
  const positive = values.filter((value) => value > 0);
  if (!positive.length) return null;
  const low = Math.min(...positive), high = Math.max(...positive);
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const shown = (steps) => powers.flatMap((power) => steps.map((step) => step * 10 ** power))
    .filter((value) => value >= low * 0.9 && value <= high * 1.1).length;
  const finer = [[1], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]];
  const steps = finer.find((some) => shown(some) >= 3) ?? finer.at(-1);
  const stride = Math.ceil((last - first + 1) * steps.length / most);
  const ticks = [];
  for (let power = first; power <= last; power += steps.length === 1 ? stride : 1) {
    for (const step of steps) ticks.push(Number(`${step}e${power}`));
  }
  return ticks;
}

function tickText(value, axis) {
  if (axis.percent) return format(value, axis);
  if (value >= 1e-4 && value < 1e5) return String(value);
  return value.toExponential(0).replace("e", "×10<sup>").replace("+", "").replace("-", "−").replace(/^1×/, "") + "</sup>";
}

function drawnValues(panel, which, time) {
  const axis = panel[which];
  if (axis.range) return axis.range;
  const values = [];
  for (const mark of panel.marks) {
    if (!mark.points) continue;
    const points = coordinates(mark, time);
    const ends = which === "y" && !mark.dim ? [...points.low, ...points.high] : [];
    for (const value of [...points[which], ...ends]) if (value !== null) values.push(value);
  }
  return values;
}

function axisLayout(panel, which, state) {
  const axis = panel[which], log = state.log[which];
  const title = axis.shared ? "" : axisTitle(axis, state.time);
  const layout = { title: { text: plain(title), standoff: 8, font: { size: 12, color: state.theme.soft } }, tickfont: { size: 12 }, type: log ? "log" : "linear",
    gridcolor: state.theme.grid, linecolor: state.theme.line, zeroline: false, showline: true, automargin: true,
    ticks: "outside", tickcolor: state.theme.line, ticklen: 4, nticks: state.narrow ? 6 : 9, hoverformat: "" };
  if (axis.categories.length) {
    const limit = state.narrow ? 14 : 30;
    return Object.assign(layout, { type: "linear", title: { text: "" }, tickmode: "array", ticks: "", showgrid: false,
      tickvals: axis.categories.map((_, i) => i), ticktext: axis.categories.map((name) => onTwoLines(name, limit)),
      range: [axis.categories.length - 0.5, -0.5], fixedrange: true });
  }
  if (axis.percent) { layout.tickformat = "~%"; }
  if (log) {
    const ticks = logTicks(drawnValues(panel, which, state.time), state.narrow ? 5 : 8);
    if (ticks) Object.assign(layout, { tickmode: "array", tickvals: ticks, ticktext: ticks.map((value) => tickText(value, axis)) });
  }
  if (axis.range && (log || !axis.log)) layout.range = log ? axis.range.map(Math.log10) : axis.range;
  else if (axis.time && !log) layout.rangemode = "tozero";
  return layout;
}

// Shapes take data values on a logarithmic axis, annotations their logarithms: plotly's convention.
function acrossPanel(mark, state) {
  const own = mark.axis, other = own === "x" ? "y" : "x";
  const ends = mark.kind === "zone" ? [mark.low, mark.high] : [mark.value, mark.value];
  const shape = { layer: "below", type: mark.kind === "zone" ? "rect" : "line", [`${own}ref`]: own, [`${other}ref`]: "paper",
    [`${own}0`]: ends[0], [`${own}1`]: ends[1], [`${other}0`]: 0, [`${other}1`]: 1 };
  if (mark.kind === "zone") Object.assign(shape, { fillcolor: state.theme.soft, opacity: 0.16, line: { width: 0 } });
  else shape.line = { color: state.theme.soft, width: 1.2, dash: "dot" };
  return shape;
}

function acrossLabel(mark, state) {
  const own = mark.axis, other = own === "x" ? "y" : "x";
  const logs = [mark.low ?? mark.value, mark.high ?? mark.value].map((end) => state.log[own] ? Math.log10(end) : end);
  return { text: plain(mark.label), showarrow: false, font: { size: 11, color: state.theme.soft }, [`${own}ref`]: own,
    [`${other}ref`]: "paper", [own]: (logs[0] + logs[1]) / 2, [other]: 1, xanchor: own === "y" ? "right" : "center",
    yanchor: "bottom", borderpad: 1 };
}

function estimateLabels(panel, state) {
  const rows = panel.marks.filter((mark) => mark.kind === "estimate");
  if (state.narrow) return rows.filter((mark) => mark.value === null).map((mark) => rowText(mark, 0.02, "left", state));
  return rows.map((mark) => mark.value === null ? rowText(mark, 0.02, "left", state) : rowText(mark, 1.01, "left", state));
}

function rowText(mark, at, anchor, state) {
  return { text: plain(mark.text), showarrow: false, xref: "paper", x: at, xanchor: anchor, yref: "y", y: mark.place,
    yanchor: "middle", font: { size: 12, color: mark.value === null ? state.theme.soft : state.theme.ink } };
}

function traces(panel, state) {
  const makers = { line: lineTraces, dots: dotTraces, estimate: estimateTraces };
  return panel.marks.filter((mark) => makers[mark.kind] && !state.hidden.has(mark.schedule))
    .flatMap((mark) => makers[mark.kind](mark, REPORT.schedules[mark.schedule], panel, state));
}

function layout(panel, state) {
  const forest = panel.y.categories.length > 0;
  const across = panel.marks.filter((mark) => mark.kind === "rule" || mark.kind === "zone");
  const wordy = forest && !state.narrow;
  const aligned = panel.height && !forest; // stacked curves share their left edge
  const tools = state.narrow || state.printed ? 14 : 32; // plotly's buttons are above the curves, not on them
  return {
    height: forest ? (panel.x.shared ? 46 : 70) + Math.max(22, tools) - 8 + (state.printed ? 24 : 36) * panel.y.categories.length
      : (panel.height ?? (state.narrow ? 280 : state.printed ? 215 : 330)) + tools - 14,
    margin: { l: aligned ? 66 : 8, r: wordy ? 190 : 14, t: forest ? Math.max(22, tools) : tools, b: aligned ? 40 : 8 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: FONT, size: 13, color: state.theme.ink },
    hoverlabel: { bgcolor: state.theme.card, bordercolor: state.theme.line, font: { color: state.theme.ink, family: FONT }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: state.theme.soft, activecolor: state.theme.ink },
    dragmode: state.narrow ? false : "zoom",
    xaxis: axisLayout(panel, "x", state), yaxis: Object.assign(axisLayout(panel, "y", state), aligned ? { automargin: false } : {}),
    shapes: across.map((mark) => acrossPanel(mark, state)),
    annotations: across.filter((mark) => mark.label).map((mark) => acrossLabel(mark, state)).concat(estimateLabels(panel, state)),
  };
}

function drawPanel(place, panel, state) {
  return Plotly.react(place, traces(panel, state), layout(panel, state), {
    responsive: true, displaylogo: false, displayModeBar: state.narrow ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], scrollZoom: false });
}
