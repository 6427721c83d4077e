"""How far it scales: a simulation of up to 64 hosts, beside the formulas that say what has to come out.

Costs of a request, a byte and a result are measured (``request-cost``, ``coordinator-limit``), S3's limits are AWS's
words; all else is an assumption that stands in the table. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks.scaling_model.setups import BIG, DAYS, FAULTY, MIDDLE, SMALL, Point, Setup, chosen, limits_text, point

COLUMNS = (
    "run",
    "setup",
    "hosts",
    "seconds",
    "steady_seconds",
    "gbit_s",
    "tb_day",
    "files_s",
    "formula_seconds",
    "limit",
    "coordinator_busy",
    "refused_share",
    "failed",
    "sent_twice",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate-scale``."""
    parser.add_argument("--most-hosts", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is random (default: %(default)s)")
    parser.add_argument("--out", default="benchmarks/results", help="folder for scaling.csv (default: %(default)s)")
    parser.add_argument("--plot", default="docs/img/scaling-hosts.png", help="a PNG or SVG (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Simulate, write the CSV and the plot, and print the tables; 1 where a simulation beats the formulas."""
    from benchmarks.scaling_plot import plot, plot_path

    began = time.process_time()
    hosts = chosen(options.most_hosts)
    big, middle, small = (_points(setups, hosts, options.seed) for setups in (BIG, MIDDLE, SMALL))
    days = [point(setup, setup.site.hosts, options.seed) for setup in DAYS]
    faulty = [point(setup, setup.site.hosts, options.seed) for setup in FAULTY]
    every = [*big, *middle, *small, *days, *faulty]
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "scaling.csv")
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *map(_row, every)])
    plot(plot_path(options.plot), big, small)
    print(report(big, middle, small, days, faulty, hosts[-1]))
    print(f"\nwritten to {path} and {options.plot}, {time.process_time() - began:.0f} s of CPU")
    wrong = too_fast(every)
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong))


def _points(setups: Iterable[Setup], hosts: Sequence[int], seed: int) -> list[Point]:
    found = []
    for setup in setups:
        found += [point(setup, many, seed) for many in hosts]
        print(f"{setup.load.name}, {setup.name}: {found[-1].gbit:,.0f} Gbit/s", file=sys.stderr)
    return found


def _row(each: Point) -> tuple[object, ...]:
    found = each.found
    rates = round(each.gbit, 2), round(each.terabytes_a_day, 1), round(each.files_a_second)
    counts = round(refused_share(each), 3), found.failed, found.sent_twice
    times = round(found.seconds, 2), round(found.steady_seconds, 2)
    said = round(each.least_seconds, 2), each.limit, round(found.busy["coordinator"], 3)
    return each.setup.load.name, each.setup.name, each.hosts, *times, *rates, *said, *counts


def refused_share(each: Point) -> float:
    """Return which share of all requests S3 refused."""
    return each.found.refused / (each.found.refused + each.found.requests)


def too_fast(points: Iterable[Point]) -> list[str]:
    """Name simulations that are much faster than the formulas allow; a second is allowed for bursts."""
    return [
        f"{each.setup.name}, {each.hosts} hosts: {each.found.seconds:.2f} s, the formulas say {each.least_seconds:.2f}"
        for each in points
        if each.found.seconds + 1.0 < 0.93 * each.least_seconds
    ]


def report(
    big: Sequence[Point], middle: Sequence[Point], small: Sequence[Point], days: Sequence[Point],
    faulty: Sequence[Point], most_hosts: int,
) -> str:  # fmt: skip
    """Return all tables in Markdown."""
    tables = [_rates(points, most_hosts) for points in (big, middle, small)]
    lines = ["| 99 TB: nine runs of 11 TB | hours | Gbit/s | of a day |", "|---|---|---|---|"]
    for each in days:
        hours = each.found.seconds / 3600
        lines.append(f"| {each.setup.name} | {hours:.1f} | {each.gbit:.1f} | {hours / 24:.0%} |")
    tables.append("\n".join(lines))
    lines = ["| 11 TB, 8 hosts, 64 workers | seconds | longer | requests sent twice |", "|---|---|---|---|"]
    for each in faulty:
        longer = round(each.found.seconds / faulty[0].found.seconds - 1, 3) + 0.0  # no minus zero
        lines.append(f"| {each.setup.name} | {each.found.seconds:,.0f} | {longer:.1%} | {each.found.sent_twice:,} |")
    tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _rates(points: Sequence[Point], most_hosts: int) -> str:
    """Return a line for each set-up: rates by hosts, and which limit holds where."""
    hosts = sorted({each.hosts for each in points})
    small = points[0].setup in SMALL
    title = f"{points[0].setup.load.name}, {'files/s' if small else 'Gbit/s'}"
    lines = [f"| {title} | " + " | ".join(map(str, hosts)) + " | hosts: limit |", "|---" * (len(hosts) + 2) + "|"]
    for setup in dict.fromkeys(each.setup for each in points):
        mine = [each for each in points if each.setup == setup]
        rates = [f"{each.files_a_second if small else each.gbit:,.0f}" for each in mine]
        lines.append(f"| {setup.name} | " + " | ".join(rates) + f" | {limits_text(setup, most_hosts)} |")
    return "\n".join(lines)
