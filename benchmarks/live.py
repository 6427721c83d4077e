"""Uploading while the instrument writes: how much is in S3 at the end of a run, and how long the rest takes.

A made-up instrument writes a run of two hours in a minute. ``monitor`` runs as cron would start it each five minutes,
files go up once they have been still for as long, all in compressed time; the bandwidth is limited so that the whole
run takes half a minute. Start-up is not compressed: here it weighs 120 times what it does in a laboratory. Afterwards
the same run is uploaded as a whole to another prefix. The sink counts every byte that it is sent.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from async_s3_upload.demo.instrument.layouts import LAYOUTS
from benchmarks.destination import running_sink
from benchmarks.live_laboratory import Figures, Laboratory, Round, Setting
from benchmarks.results import machine, versions

LEAST_PERCENT_AT_MARKER = 90.0
MOST_REST_PERCENT = 15.0
MOST_TWICE_PERCENT = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``live``."""
    parser.add_argument("--layout", choices=LAYOUTS, default="novaseq_x")
    parser.add_argument("--megabytes", type=float, default=300.0, help="size of the run (default: %(default)s)")
    parser.add_argument("--cycles", type=int, default=80, help="cycles of the run (default: %(default)s)")
    parser.add_argument("--run-hours", type=float, default=2.0, help="how long the run takes (default: %(default)s)")
    parser.add_argument("--play-seconds", type=float, default=60.0, help="and is played in (default: %(default)s)")
    parser.add_argument("--round-seconds", type=float, default=2.5, help="from round to round (default: %(default)s)")
    parser.add_argument("--min-file-age", type=float, default=2.5, help="seconds (default: %(default)s)")
    parser.add_argument("--upload-seconds", type=float, default=30.0, help="of the whole run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work-dir", help="where the run is written (default: the system's temporary folder)")
    parser.add_argument("--out", default="benchmarks/results", help="folder for the JSON (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Measure, write the JSON and print the figures; 1 where a bar is missed or the run did not go up."""
    date, started = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.strftime("%Y%m%d_%H%M%S")
    setting = Setting(
        layout=options.layout,
        total_bytes=int(options.megabytes * 1e6),
        cycles=options.cycles,
        run_seconds=options.run_hours * 3600,
        play_seconds=options.play_seconds,
        round_seconds=options.round_seconds,
        min_file_age=options.min_file_age,
        upload_seconds=options.upload_seconds,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory(prefix="live-", dir=options.work_dir) as folder, running_sink() as sink:
        laboratory = Laboratory(folder, setting, sink)
        try:
            figures = laboratory.measure()
        except RuntimeError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"live_{started}.json")
    about = {"date": date, "machine": machine(), "versions": versions(), "setting": asdict(setting)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(about | _document(figures, laboratory.rounds), file, indent=2)
        file.write("\n")
    print(f"{text(figures, setting)}\n\nwritten to {path}")
    wrong = missed(figures)
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong))


def text(figures: Figures, setting: Setting) -> str:
    """Return the figures as people read them."""
    scale = setting.run_seconds / setting.play_seconds
    lines = [
        ("bytes in S3 when the last marker appeared", f"{figures.percent_at_marker:.1f} %", ">= 90 %"),
        ("from the marker to completed", f"{figures.rest_seconds:.1f} s", ""),
        ("  of it, waiting for the next round", f"{figures.wait_seconds:.1f} s", ""),
        ("a full upload after completion", f"{figures.full_seconds:.1f} s", ""),
        ("the rest against a full upload", f"{figures.rest_percent:.1f} %", "<= 15 %"),
        ("bytes sent twice", f"{figures.twice_percent:.2f} %", "< 5 %"),
    ]
    head = f"{figures.files} files, {figures.bytes / 1e6:.0f} MB; one second is {scale:.0f} s of the run"
    return "\n".join([head, *(f"{name:<44}{figure:>9}   {bar}".rstrip() for name, figure, bar in lines)])


def _document(figures: Figures, rounds: Sequence[Round]) -> dict[str, Any]:
    ratios = {"rest_percent": round(figures.rest_percent, 2), "twice_percent": round(figures.twice_percent, 3)}
    found = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(figures).items()}
    return {"figures": found | ratios, "missed": missed(figures), "rounds": [asdict(each) for each in rounds]}


def missed(figures: Figures) -> list[str]:
    """Name the bars that are missed."""
    found = []
    if figures.percent_at_marker < LEAST_PERCENT_AT_MARKER:
        found.append(f"only {figures.percent_at_marker:.1f} % of the bytes were in S3 when the marker appeared")
    if figures.rest_percent > MOST_REST_PERCENT:
        found.append(f"the rest took {figures.rest_percent:.1f} % of a full upload")
    if figures.twice_percent >= MOST_TWICE_PERCENT:
        found.append(f"{figures.twice_percent:.1f} % of the bytes were sent twice")
    return found
