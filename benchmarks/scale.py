"""Time and memory for runs of 10,000 to 1,000,000 files, and how they grow.

Every figure is of a process of its own. The files are sparse and lie as HiSeq writes them: a folder for each lane and
cycle, whose files have the same names in each. The phases:

- ``plan``: list a new run and plan it; nothing is sent.
- ``resume``: the real ``upload`` of a run that is recorded whole, to the sink: it finds that nothing is left to do.
- ``verify``: read the run log and compare all of it with a listing, as an upload does in its end; the listing comes
  from this process, without a network and without its XML.
- ``runlog``: read the run log and write it again.
- ``record``: what the coordinator's process writes down of each file of a first upload, snapshots as they come.
- ``replay``: read the journal that an upload left which was killed at its end.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.destination import SinkDestination, running_sink
from benchmarks.process_tree import Usage, measure
from benchmarks.results import machine, versions
from benchmarks.scale_phases import BUCKET, IN_PROCESS, make_run

PHASES = ("plan", "resume", "verify", "runlog", "record", "replay")
FLOOR_FILES = 10
"""A run of so few files shows what the start of each process costs: that is taken off before the growth is fitted."""
LIMITS = {"resume": (25.0, 700.0)}
"""Seconds and MB that a million files may take (issue: a million files)."""
FLOOR_RUNS = 3
NOISE_S, NOISE_MB = 0.2, 3.0
"""What is less above a tiny run than this tells nothing."""
STEEPEST = 1.35
"""What grows with a larger exponent is not linear: 1.0 is linear, 2.0 quadratic. A little more than 1.0 has to be
allowed: the memory of a small run hides under what the start of the process took before.
"""
_PHASE = (sys.executable, "-m", "benchmarks.scale_phases")


@dataclass(frozen=True, slots=True)
class ScaleRow:
    """One phase over one run; memory in 10^6 bytes, the peak of the process tree (PSS)."""

    phase: str
    files: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Growth:
    """How a phase grows with the number of files: exponents of CPU and memory above those of a tiny run."""

    phase: str
    cpu: float | None
    memory: float | None
    cpu_us_a_file: float | None
    bytes_a_file: float | None


def _measured(phase: str, root: str, log_dir: str, sink: SinkDestination, timeout: float) -> tuple[Usage, str]:
    """Run one phase in a process of its own; returns why it is not a time, or an empty text."""
    if phase in IN_PROCESS:
        usage = measure([*_PHASE, phase, root, log_dir], timeout_seconds=timeout)
        return usage, _failure(usage)
    where = ["--local-path", root, "--bucket", BUCKET, "--remote-path", "runs", "--log-dir", log_dir]
    command = [sys.executable, "-m", "async_s3_upload", "upload", *where, "--json"]
    with tempfile.TemporaryFile() as said:
        usage = measure(command, env=sink.environment(), stdout=said, timeout_seconds=timeout)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if _failure(usage):
        return usage, _failure(usage)
    reason = json.loads(text)["runs"][0]["reason"]
    return usage, "" if reason == "already_uploaded" else f"something was left to do: {reason}"


def _failure(usage: Usage) -> str:
    return "timed out" if usage.timed_out else f"exit code {usage.exit_code}" if usage.exit_code else ""


def _rows(files: int, options: argparse.Namespace, sink: SinkDestination) -> Iterator[ScaleRow]:
    """Make a run of so many files and measure its phases, each with a log folder as it needs it."""
    with tempfile.TemporaryDirectory(prefix="scale-", dir=options.work_dir) as parent:
        root = make_run(parent, files)
        whole, first = os.path.join(parent, "whole"), os.path.join(parent, "first")
        measure([*_PHASE, "prepare", root, whole], timeout_seconds=options.timeout)
        for phase in PHASES:
            if phase not in options.phases:
                continue
            # the first upload of a run, and what it left behind, have a log folder of their own
            log_dir = first if phase in ("record", "replay") else whole
            if phase == "runlog" and "verify" in options.phases:  # which took the run up again
                measure([*_PHASE, "prepare", root, whole], timeout_seconds=options.timeout)
            usage, failure = _measured(phase, root, log_dir, sink, options.timeout)
            peak = round(usage.peak_pss_bytes / 1e6, 2)
            yield ScaleRow(phase, files, round(usage.seconds, 3), round(usage.cpu_seconds, 3), peak, failure)


def growth(rows: Sequence[ScaleRow]) -> list[Growth]:
    """Fit each phase: least squares of the logarithms, above what a tiny run takes."""
    found = []
    for phase in dict.fromkeys(row.phase for row in rows):
        mine = [row for row in rows if row.phase == phase and not row.failure]
        fewest = min((row.files for row in mine), default=0)
        bigger = [row for row in mine if row.files > fewest]
        if not bigger:
            continue
        largest = max(bigger, key=lambda row: row.files)
        floor_s = min(row.cpu_seconds for row in mine if row.files == fewest)
        floor_mb = min(row.peak_mb for row in mine if row.files == fewest)
        found.append(
            Growth(
                phase,
                exponent([(row.files, row.cpu_seconds - floor_s) for row in bigger], NOISE_S),
                exponent([(row.files, row.peak_mb - floor_mb) for row in bigger], NOISE_MB),
                round((largest.cpu_seconds - floor_s) / largest.files * 1e6, 2),
                round((largest.peak_mb - floor_mb) / largest.files * 1e6, 1),
            )
        )
    return found


def exponent(points: Sequence[tuple[float, float]], noise: float) -> float | None:
    """Return the exponent of the power law nearest to the points; None where fewer than two are above the noise."""
    logs = [(math.log(x), math.log(y)) for x, y in points if y > noise]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    return round(slope, 3)


def over_limit(rows: Sequence[ScaleRow], fits: Sequence[Growth]) -> list[str]:
    """Name what failed, what a million files take too much of, and what is not linear."""
    found = [f"{row.phase} of {row.files:,} files: {row.failure}" for row in rows if row.failure]
    for row in rows:
        seconds, peak_mb = LIMITS.get(row.phase, (math.inf, math.inf))
        if row.files == 1_000_000 and (row.seconds > seconds or row.peak_mb > peak_mb):
            found.append(f"{row.phase} of a million files took {row.seconds:.1f} s and {row.peak_mb:.0f} MB")
    for fit in fits:
        found += [
            f"{fit.phase}: {what} grows with the power {power} of the number of files"
            for what, power in (("CPU", fit.cpu), ("memory", fit.memory))
            if power is not None and power > STEEPEST
        ]
    return found


def table(rows: Sequence[ScaleRow], fits: Sequence[Growth]) -> str:
    """Return rows and fits as people read them."""
    lines: list[tuple[str, ...]] = [("phase", "files", "seconds", "CPU s", "peak MB", "")]
    for row in rows:
        figures = (f"{row.seconds:.2f}", f"{row.cpu_seconds:.2f}", f"{row.peak_mb:.0f}", row.failure)
        lines.append((row.phase, f"{row.files:,}", *figures))
    lines.append(("", "", "", "", "", ""))
    lines.append(("phase", "CPU ~ files^", "memory ~ files^", "us a file", "bytes a file", ""))
    lines += [(fit.phase, *("-" if value is None else f"{value:g}" for value in _figures(fit)), "") for fit in fits]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def _figures(fit: Growth) -> tuple[float | None, ...]:
    return fit.cpu, fit.memory, fit.cpu_us_a_file, fit.bytes_a_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``scale``."""
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--phases", choices=PHASES, nargs="+", default=PHASES)
    parser.add_argument("--work-dir", help="where the runs are made (default: the system's temporary folder)")
    parser.add_argument("--out", default="benchmarks/results", help="folder for JSON and TSV (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one phase (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Measure, write the results and print them; 1 where something failed, is too much or not linear."""
    date, started = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.strftime("%Y%m%d_%H%M%S")
    rows: list[ScaleRow] = []
    with running_sink() as sink:
        for files in [FLOOR_FILES] * FLOOR_RUNS + sorted(set(options.files)):
            for row in _rows(files, options, sink):
                rows.append(row)
                figures = f"{row.seconds:.2f} s, {row.cpu_seconds:.2f} s of CPU, {row.peak_mb:.0f} MB"
                print(f"{row.phase} of {files:,} files: {row.failure or figures}", file=sys.stderr)
    rows.sort(key=lambda row: (PHASES.index(row.phase), row.files))
    fits = growth(rows)
    os.makedirs(options.out, exist_ok=True)
    base = os.path.join(options.out, f"scale_{started}")
    about = {"date": date, "machine": machine(), "versions": versions()}
    with open(f"{base}.json", "w", encoding="utf-8") as file:
        json.dump(about | {"rows": [*map(asdict, rows)], "growth": [*map(asdict, fits)]}, file, indent=2)
        file.write("\n")
    with open(f"{base}.tsv", "w", encoding="utf-8") as file:
        for line in ([field.name for field in fields(ScaleRow)], *(map(str, asdict(row).values()) for row in rows)):
            file.write("\t".join(line) + "\n")
    print(f"{table(rows, fits)}\n\nwritten to {base}.json and .tsv")
    wrong = over_limit(rows, fits)
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong))
