// Begins: times in the reader's zone, charts for the chosen time, the table.
function chooseRun(run) {
  search(get(run, "run"));
  byId("runs").scrollIntoView();
  byId("query").focus({ preventScroll: true });
}

function drawCharts() {
  const days = Number(document.querySelector("input[name=range]:checked").value);
  const to = data.made;
  const known = data.runs.filter((run) => when(run) !== null && when(run) <= to + DAY);
  const oldest = known.reduce((least, run) => Math.min(least, run[C.start] ?? when(run)), to - DAY);
  const from = days ? to - days * DAY : oldest;
  const runs = known.filter((run) => when(run) >= from);
  const [unit, found] = periods(from, to, runs);
  byId("bytes-title").textContent = `Bytes per ${unit}`;
  byId("mean-word").textContent = `mean of a ${unit}`;
  drawTimeline(from, to, runs, chooseRun);
  drawThroughput(unit, found, from, to, runs);
  drawBytes(unit, found, from, to);
  drawFigures(found);
}

function begin() {
  for (const time of document.querySelectorAll("time")) time.textContent = timeText(Date.parse(time.dateTime) / 1000);
  for (const place of document.querySelectorAll("[data-ago]")) {
    place.textContent = `(${agoText((Date.now() - Date.parse(place.dataset.ago)) / 1000)})`;
  }
  byId("zone").textContent = `times are in your time zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  byId("charts").hidden = byId("runs").hidden = false;
  const latest = data.runs.reduce((most, run) => Math.max(most, when(run) ?? 0), 0);
  const range = ["7", "30", "90", "365"].find((days) => data.made - latest < days * DAY * 0.5) ?? "0";
  for (const choice of document.querySelectorAll("input[name=range]")) {
    choice.checked = choice.value === (range === "7" ? "30" : range);
    choice.addEventListener("change", drawCharts);
  }
  prepareTable();
  drawCharts();
  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    requestAnimationFrame(drawCharts);
  });
}

begin();
