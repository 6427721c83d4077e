// The table of runs: searched, filtered, sorted, a page at a time.
const PAGE_ROWS = matchMedia("(max-width: 46rem)").matches ? 20 : 50;
const COLUMNS = [
  ["run", "Run"], ["sequencer", "Sequencer"], ["state", "State"], ["end", "When"], ["files", "Files"], ["bytes", "Size"],
  ["seconds", "Duration"], ["rate", "Rate"], ["failed", "Failures"],
];
const NUMBERS = new Set(["files", "bytes", "seconds", "rate", "failed"]);
const shown = { sort: "end", down: true, page: 0, rows: data.runs };
const collator = new Intl.Collator("en", { numeric: true });
const haystacks = new Map();

function haystack(run) {
  let text = haystacks.get(run);
  if (text === undefined) {
    text = ["run", "sequencer", "state", "next", "destination"].map((name) => get(run, name)).join("\n").toLowerCase();
    haystacks.set(run, text);
  }
  return text;
}

function compared(name, down) {
  const sign = down ? -1 : 1;
  if (name === "run" || WORDS.has(name)) {
    return (a, b) => sign * collator.compare(get(a, name), get(b, name));
  }
  const value = name === "end" ? when : (run) => run[C[name]];
  return (a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * (left - right);
  };
}

function refresh() {
  const words = byId("query").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [state, sequencer] = [byId("state").value, byId("sequencer").value];
  shown.rows = data.runs.filter((run) =>
    (!state || run[C.state] === Number(state)) &&
    (!sequencer || run[C.sequencer] === Number(sequencer)) &&
    words.every((word) => haystack(run).includes(word)));
  shown.rows.sort(compared(shown.sort, shown.down));
  shown.page = 0;
  drawTable();
}

function cell(run, name, label) {
  const made = element("td", { role: "cell", class: NUMBERS.has(name) ? "number" : name === "end" ? "time" : name, "data-label": label });
  if (name === "state") {
    const kind = look(run);
    made.append(element("span", { class: `state ${kind}` }, element("span", { "aria-hidden": "true" }, SIGN[kind] + " "), get(run, "state")));
  } else if (name === "failed" && run[C.named] !== null) {
    const link = element("a", { href: `#failed-${run[C.named]}` }, run[C.failed].toLocaleString("en"));
    link.addEventListener("click", () => { openFailure(run[C.named]); });
    made.append(link);
  } else if (name === "run") {
    made.append(get(run, name), element("span", { class: "more" }, `to ${get(run, "destination")}`));
    if (get(run, "next")) made.append(element("span", { class: "more" }, `next: ${get(run, "next")}`));
  } else {
    made.append(cellText(run, name));
  }
  if (!made.textContent) made.classList.add("empty");
  return made;
}

function openFailure(number) {
  const found = byId(`failed-${number}`);
  found.open = true;
  const around = found.parentElement.closest("details");
  if (around) around.open = true;
}

function cellText(run, name) {
  if (name === "files") return filesText(run);
  if (name === "end") return timeText(when(run));
  if (name === "bytes") return sizeText(run[C.bytes]);
  if (name === "seconds") return durationText(run[C.seconds]);
  if (name === "rate") return rateText(run[C.rate]);
  return NUMBERS.has(name) ? run[C[name]].toLocaleString("en") : get(run, name);
}

function drawTable() {
  const pages = Math.max(1, Math.ceil(shown.rows.length / PAGE_ROWS));
  shown.page = Math.min(Math.max(shown.page, 0), pages - 1);
  const part = shown.rows.slice(shown.page * PAGE_ROWS, (shown.page + 1) * PAGE_ROWS);
  byId("table").tBodies[0].replaceChildren(
    ...part.map((run) => element("tr", { role: "row" }, ...COLUMNS.map(([name, label]) => cell(run, name, label)))));
  const all = data.runs.length;
  const some = shown.rows.length === all ? countText(all, "run") : `${shown.rows.length.toLocaleString("en")} of ${countText(all, "run")}`;
  byId("count").textContent = some;
  byId("where").textContent = `Page ${shown.page + 1} of ${pages}`;
  for (const id of ["first", "previous"]) byId(id).disabled = shown.page === 0;
  for (const id of ["next", "last"]) byId(id).disabled = shown.page === pages - 1;
  document.querySelectorAll("#table thead th").forEach((head, place) => {
    const sorted = COLUMNS[place][0] === shown.sort;
    head.setAttribute("aria-sort", sorted ? (shown.down ? "descending" : "ascending") : "none");
    head.querySelector("i").textContent = sorted ? (shown.down ? "▼" : "▲") : "";
  });
  byId("sort").value = `${shown.sort} ${shown.down}`;
}

function sortBy(name) {
  shown.down = shown.sort === name ? !shown.down : NUMBERS.has(name) || name === "end";
  shown.sort = name;
  refresh();
}

function turn(page) {
  shown.page = page;
  drawTable();
}

function prepareTable() {
  const heads = COLUMNS.map(([name, label]) => {
    const button = element("button", { type: "button" }, label, element("i", { "aria-hidden": "true" }));
    button.addEventListener("click", () => sortBy(name));
    for (const down of [true, false]) {
      const words = `${label}, ${NUMBERS.has(name) || name === "end" ? (down ? "most first" : "least first") : down ? "Z to A" : "A to Z"}`;
      byId("sort").append(element("option", { value: `${name} ${down}` }, words.replace("When, most", "When, newest").replace("When, least", "When, oldest")));
    }
    return element("th", { scope: "col", role: "columnheader", class: NUMBERS.has(name) ? "number" : "" }, button);
  });
  document.querySelector("#table thead tr").append(...heads);
  for (const name of ["state", "sequencer"]) {
    const numbers = [...new Set(data.runs.map((run) => run[C[name]]))];
    numbers.sort((a, b) => collator.compare(data.texts[a], data.texts[b]));
    byId(name).append(...numbers.map((number) => element("option", { value: number }, data.texts[number] || "unknown")));
    byId(name).addEventListener("change", refresh);
  }
  byId("query").addEventListener("input", refresh);
  byId("sort").addEventListener("change", () => {
    const [name, down] = byId("sort").value.split(" ");
    Object.assign(shown, { sort: name, down: down === "true" });
    refresh();
  });
  byId("clear").addEventListener("click", () => search(""));
  byId("first").addEventListener("click", () => turn(0));
  byId("previous").addEventListener("click", () => turn(shown.page - 1));
  byId("next").addEventListener("click", () => turn(shown.page + 1));
  byId("last").addEventListener("click", () => turn(Infinity));
  refresh();
}

function search(text) {
  byId("query").value = text;
  byId("state").value = byId("sequencer").value = "";
  refresh();
}
