// The document, and how sizes and times are written. Names of runs and files are only ever written as text.
const data = JSON.parse(document.getElementById("data").textContent);
const C = Object.fromEntries(data.columns.map((name, place) => [name, place])); // places in a row
const WORDS = new Set(["sequencer", "state", "next", "destination"]);
const get = (run, name) => (WORDS.has(name) ? data.texts[run[C[name]]] : run[C[name]]);
const when = (run) => run[C.end] ?? run[C.start];
const LOOK = { complete: "complete", "in progress": "going", uploading: "going" };
const SIGN = { complete: "✓", going: "…", attention: "!" };
const look = (run) => (run[C.failed] ? "attention" : LOOK[get(run, "state")] ?? "attention");
const byId = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function countText(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function sizeText(size) {
  if (size === null || size === undefined) return "";
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (size < 999.5) return `${unit === "B" ? Math.round(size) : Number(size.toPrecision(3))} ${unit}`;
    size /= 1000;
  }
  return `${Number(size.toPrecision(4))} PB`;
}

const rateText = (rate) => (rate === null ? "" : `${sizeText(rate)}/s`);

function durationText(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}

function filesText(run) {
  const [files, total] = [run[C.files], run[C.total]];
  if (files === null || total === null || files === total) return (files ?? total)?.toLocaleString("en") ?? "";
  return `${files.toLocaleString("en")} of ${total.toLocaleString("en")}`;
}

const two = (number) => String(number).padStart(2, "0");

function dayText(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function timeText(seconds) {
  if (seconds === null) return "";
  const date = new Date(seconds * 1000);
  return `${dayText(seconds)} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

function agoText(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 2) return "just now";
  if (minutes < 120) return `${minutes} minutes ago`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} hours ago` : `${Math.round(minutes / 1440)} days ago`;
}
