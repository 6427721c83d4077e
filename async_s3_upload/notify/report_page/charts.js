// Charts, drawn as SVG for the width they have. The table holds the same for those who cannot see or point.
const DAY = 86400;
const LEFT = 64;
const HEIGHT = 200;

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(id, height, label) {
  const width = Math.max(280, byId(id).clientWidth);
  const made = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
  byId(id).replaceChildren(made);
  return [made, width];
}

function startOf(seconds, unit) {
  const date = new Date(seconds * 1000);
  date.setHours(0, 0, 0, 0);
  if (unit === "week") date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  if (unit === "month") date.setDate(1);
  return date;
}

// Days, weeks or months from ..to, each with what was uploaded in it.
function periods(from, to, runs) {
  const days = (to - from) / DAY;
  const unit = days <= 92 ? "day" : days <= 750 ? "week" : "month";
  const found = [];
  for (const date = startOf(from, unit); date.getTime() / 1000 <= to; ) {
    found.push({ from: date.getTime() / 1000, runs: 0, bytes: 0, sent: 0, seconds: 0 });
    if (unit === "month") date.setMonth(date.getMonth() + 1);
    else date.setDate(date.getDate() + (unit === "week" ? 7 : 1));
  }
  for (const run of runs) {
    let low = 0;
    let high = found.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (found[middle].from <= when(run)) low = middle;
      else high = middle - 1;
    }
    const period = found[low];
    period.runs += 1;
    period.bytes += run[C.bytes] ?? 0;
    if (run[C.rate] && run[C.seconds]) {
      period.sent += run[C.rate] * run[C.seconds];
      period.seconds += run[C.seconds];
    }
  }
  for (const period of found) period.rate = period.seconds ? period.sent / period.seconds : null;
  return [unit, found];
}

function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].find((step) => step * power >= value) * power;
}

function axes(picture, width, height, from, to, top, unit) {
  const bottom = height - 22;
  const y = (value) => bottom - (value / top) * (bottom - 10);
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - 10);
  if (top) {
    for (let step = 0; step <= 4; step += 2) {
      const value = (top * step) / 4;
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - 10, y1: y(value), y2: y(value) }));
      picture.append(svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, sizeText(value) + unit));
    }
  }
  return [x, y, bottom];
}

function timeTicks(picture, x, from, to, bottom, left, width) {
  const many = Math.max(2, Math.floor((width - left) / 110));
  const step = Math.max(1, Math.ceil((to - from) / DAY / many));
  const long = (to - from) / DAY > 300;
  const date = startOf(from + DAY, "day");
  for (; date.getTime() / 1000 <= to; date.setDate(date.getDate() + step)) {
    const at = date.getTime() / 1000;
    const text = long ? dayText(at).slice(0, 7) : dayText(at).slice(5);
    const anchor = x(at) > width - 30 ? "end" : x(at) < left + 20 ? "start" : "middle";
    picture.append(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: 4, y2: bottom }));
    picture.append(svg("text", { x: x(at), y: bottom + 16, "text-anchor": anchor }, text));
  }
}

function drawBytes(unit, found, from, to) {
  const total = found.reduce((sum, period) => sum + period.bytes, 0);
  const label = `Bytes per ${unit}: ${sizeText(total)} in ${countText(found.length, unit)}`;
  const [picture, width] = drawing("bytes", HEIGHT, label);
  const top = niceTop(Math.max(...found.map((period) => period.bytes)));
  const [x, y, bottom] = axes(picture, width, HEIGHT, from, to, top, "");
  timeTicks(picture, x, from, to, bottom, LEFT, width);
  found.forEach((period, place) => {
    const end = found[place + 1]?.from ?? to;
    const left = Math.max(x(period.from), LEFT);
    const wide = Math.max(1.5, x(Math.min(end, to)) - left - 1.5);
    const bar = svg("rect", { class: "bar", x: left, y: y(period.bytes), width: wide, height: bottom - y(period.bytes), rx: 1.5 });
    bar.append(svg("title", {}, `${unit} of ${dayText(period.from)}: ${sizeText(period.bytes)}, ${countText(period.runs, "run")}`));
    picture.append(bar);
  });
}

function drawThroughput(unit, found, from, to, runs) {
  const rated = runs.filter((run) => run[C.rate]);
  const rates = rated.map((run) => run[C.rate]).sort((a, b) => a - b);
  const middle = rates.length ? `median ${rateText(rates[rates.length >> 1])}` : "no rates are known";
  const [picture, width] = drawing("throughput", HEIGHT, `Throughput of ${countText(rates.length, "run")}: ${middle}`);
  const top = niceTop(rates.length ? rates[rates.length - 1] : 0);
  const [x, y, bottom] = axes(picture, width, HEIGHT, from, to, top, "/s");
  timeTicks(picture, x, from, to, bottom, LEFT, width);
  const dots = rated.map((run) => `M${x(when(run)).toFixed(1)} ${y(run[C.rate]).toFixed(1)}h0`);
  picture.append(svg("path", { class: rated.length > 500 ? "dots many" : "dots", d: dots.join("") || "M0 0" }));
  const middles = found.map((period, place) => {
    const end = Math.min(found[place + 1]?.from ?? to, to);
    return [x((Math.max(period.from, from) + end) / 2), period];
  });
  const known = middles.filter(([, period]) => period.rate);
  const points = known.map(([at, period]) => `${at.toFixed(1)} ${y(period.rate).toFixed(1)}`);
  if (points.length) picture.append(svg("path", { class: "mean", d: "M" + points.join("L") }));
  if (points.length && points.length < 40) picture.append(svg("path", { class: "mean-point", d: points.map((point) => `M${point}h0`).join("") }));
  const wide = (width - LEFT) / found.length;
  for (const [at, period] of known) {
    const field = svg("rect", { class: "catch", x: at - wide / 2, y: 4, width: wide, height: bottom - 4 });
    field.append(svg("title", {}, `${unit} of ${dayText(period.from)}: mean ${rateText(period.rate)}`));
    picture.append(field);
  }
}

// Runs of one sequencer that overlap lie below each other, three deep at most.
function lanes(runs, least) {
  const ends = [];
  return runs.map((run) => {
    const start = run[C.start] ?? when(run);
    let lane = ends.findIndex((end) => end <= start);
    if (lane < 0) lane = ends.length < 3 ? ends.length : ends.indexOf(Math.min(...ends));
    ends[lane] = Math.max(run[C.end] ?? data.made, start + least);
    return lane;
  });
}

function drawTimeline(from, to, runs, choose) {
  const bySequencer = new Map();
  for (const run of [...runs].sort((a, b) => (a[C.start] ?? when(a)) - (b[C.start] ?? when(b)))) {
    const name = get(run, "sequencer");
    if (!bySequencer.has(name)) bySequencer.set(name, []);
    bySequencer.get(name).push(run);
  }
  const names = [...bySequencer.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const span = Math.max(200, byId("timeline").clientWidth) - 12;
  const rows = names.map((name) => {
    const placed = lanes(bySequencer.get(name), ((to - from) / span) * 4);
    return { name, runs: bySequencer.get(name), placed, deep: Math.max(...placed) + 1 };
  });
  const height = rows.reduce((sum, row) => sum + 22 + row.deep * 13, 0) + 28;
  const label = `${countText(runs.length, "run")} of ${countText(names.length, "sequencer")}; the table below has them all`;
  const [picture, width] = drawing("timeline", height, label);
  const x = (time) => 2 + ((time - from) / (to - from)) * (width - 12);
  picture.append(hatching());
  timeTicks(picture, x, from, to, height - 22, 2, width);
  let y = 4;
  for (const row of rows) {
    picture.append(svg("text", { class: "name", x: 4, y: y + 12 }, `${row.name || "unknown"} (${row.runs.length})`));
    y += 17;
    picture.append(svg("rect", { class: "lane", x: 2, y: y - 1, width: width - 12, height: row.deep * 13 + 1, rx: 2 }));
    row.runs.forEach((run, place) => {
      const start = Math.max(from, run[C.start] ?? when(run));
      const wide = Math.max(4, x(Math.min(to, run[C.end] ?? to)) - x(start) - 0.5);
      const bar = svg("rect", { class: `run ${look(run)}`, x: x(start), y: y + row.placed[place] * 13, width: wide, height: 12, rx: 2 });
      if (look(run) === "attention") bar.setAttribute("fill", "url(#hatching)");
      bar.append(svg("title", {}, `${get(run, "run")}: ${get(run, "state")}, ${sizeText(run[C.bytes])}, ${timeText(run[C.end])}`));
      bar.addEventListener("click", () => choose(run));
      picture.append(bar);
    });
    y += row.deep * 13 + 5;
  }
  if (!rows.length) picture.append(svg("text", { x: 4, y: 16 }, "no runs in this time"));
}

function hatching() {
  const defs = svg("defs");
  const pattern = svg("pattern", { id: "hatching", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("rect", { class: "hatch-ground", width: 6, height: 6 }), svg("line", { class: "hatch", x1: 2, x2: 2, y1: 0, y2: 6 }));
  defs.append(pattern);
  return defs;
}

function drawFigures(found) {
  const rows = found.filter((period) => period.runs).reverse().map((period) =>
    element("tr", {},
      element("th", { scope: "row" }, dayText(period.from)), element("td", {}, String(period.runs)),
      element("td", {}, sizeText(period.bytes)), element("td", {}, rateText(period.rate))));
  byId("figures").tBodies[0].replaceChildren(...rows);
}
