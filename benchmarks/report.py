"""The files and tables of a comparison: JSON with every run, TSV, and Markdown for the documents."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from benchmarks.comparison import Run, Setup, Summary, best_peer, summaries
from benchmarks.programs import FLOOR, OURS

_NONE = "–"


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison as it was written: ``about`` is what is needed to judge and repeat it."""

    about: dict[str, Any]
    runs: list[Run]


def write_report(folder: str, name: str, about: dict[str, Any], runs: Sequence[Run]) -> str:
    """Write the JSON, the TSV and the plots ``folder/name.*`` and return the path of the JSON."""
    from benchmarks.plots import plot_comparison  # slow to import

    os.makedirs(folder, exist_ok=True)
    base = os.path.join(folder, name)
    found = summaries(runs)
    document = about | {"summaries": [asdict(summary) for summary in found], "runs": [asdict(run) for run in runs]}
    with open(f"{base}.json", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    with open(f"{base}.tsv", "w", encoding="utf-8") as file:
        file.write(tsv(runs))
    plot_comparison(base, found, about["sets"])
    return f"{base}.json"


def read_report(path: str) -> Report:
    """Read a JSON that was written here; the summaries are made anew from the runs."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    runs = [Run(**run | {"setup": Setup(**run["setup"])}) for run in document.pop("runs")]
    return Report(document, runs)


def tsv(runs: Sequence[Run]) -> str:
    """Return one line a run, warm-ups too (their repeat is 0); what is not a time has ``failed`` in its place."""
    names = [field.name for field in fields(Run) if field.name != "setup"]
    lines = [["set", "scheme", "latency_ms", *names]]
    for run in runs:
        row = asdict(run) | {"failure": " ".join(run.failure.split())}
        row |= {"seconds": "failed"} if run.failure else {}
        cells = ["" if row[name] is None else str(row[name]) for name in names]
        lines.append([run.setup.dataset, run.setup.scheme, f"{run.setup.latency_ms:g}", *cells])
    return "".join("\t".join(line) + "\n" for line in lines)


def markdown(report: Report) -> str:
    """Return the tables for the documents: the ratios, then the medians of every program."""
    found = summaries(report.runs)
    return f"{_ratio_table(found, _markdown_table)}\n\n{_median_table(found, _markdown_table)}"


def console(report: Report) -> str:
    """Return the same tables in columns, and the reasons of what failed."""
    found = summaries(report.runs)
    reasons = [
        f"{summary.setup.title}: {summary.program}: {summary.failed} failed: {' '.join(summary.failure.split())}"
        for summary in found
        if summary.failed
    ]
    return "\n\n".join([_ratio_table(found, _columns), _median_table(found, _columns), *reasons])


def _ratio_table(found: Sequence[Summary], layout: "Layout") -> str:
    """Ours to the others, the median of the rounds (least to greatest): below 1 ours is faster."""
    others = [name for name in dict.fromkeys(summary.program for summary in found) if name != OURS]
    peers = [name for name in others if name != FLOOR]
    rows = []
    for setup in dict.fromkeys(summary.setup for summary in found):
        here = {summary.program: summary for summary in found if summary.setup == setup}
        best = best_peer(found, setup)
        cpu = f"{best.cpu_ratio} {best.program}" if best and best.cpu_ratio else _NONE
        floor = [_wall_ratio(here.get(FLOOR))] if FLOOR in others else []
        rows.append([setup.title, *(_wall_ratio(here.get(name)) for name in peers), cpu, *floor])
    heads = [
        *(f"wall vs {name}" for name in peers),
        "CPU vs best peer",
        *(["wall vs floor"] if FLOOR in others else []),
    ]
    return layout(["set", *heads], rows)


def _wall_ratio(summary: Summary | None) -> str:
    if summary is None:
        return _NONE
    if summary.wall_ratio is None:
        return "failed" if summary.failed else _NONE
    return str(summary.wall_ratio)


def _median_table(found: Sequence[Summary], layout: "Layout") -> str:
    heads = ["set", "program", "wall s", "CPU s", "CPU s/GB", "peak MiB", "sink CPU s", "runs", "failed"]
    rows = [
        [
            summary.setup.title,
            summary.program,
            *(
                _figure(value, digits, failed=bool(summary.failed))
                for value, digits in (
                    (summary.seconds, 2),
                    (summary.cpu_seconds, 2),
                    (summary.cpu_seconds_per_gb, 2),
                    (summary.peak_pss_mb, 0),
                )
            ),
            _figure(summary.sink_cpu_seconds, 2, failed=False),
            str(summary.times),
            str(summary.failed or ""),
        ]
        for summary in found
    ]
    return layout(heads, rows)


def _figure(value: float | None, digits: int, *, failed: bool) -> str:
    if value is None:
        return "failed" if failed else _NONE
    return f"{value:.{digits}f}"


Layout = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
