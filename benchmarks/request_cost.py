"""CPU time of a worker for each request and each byte, over TLS: what the model of ``simulate-scale`` is fed with.

One engine with the store of real workers sends files to the sink; only this process is counted. The least squares
of several sizes give seconds a request and seconds a byte.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pickle
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from unittest import mock

from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.messages import (
    AwsAccess,
    Event,
    Events,
    FileDone,
    FileItem,
    Limits,
    ObjectSettings,
    PartDone,
    WorkerSettings,
)
from async_s3_upload.transfer.rows import rows_of
from async_s3_upload.transfer.workers.channel import PipeChannel
from async_s3_upload.transfer.workers.worker import open_store
from benchmarks.destination import SinkDestination, running_sink
from benchmarks.results import machine, versions

KIB, MIB = 1024, 1024 * 1024
SETS: Mapping[int, int] = {4 * KIB: 4000, 27 * KIB: 4000, 256 * KIB: 1500, 4 * MIB: 100, 64 * MIB: 8}
"""Size of a file, and so many of them; those of 64 MiB go up in parts of 8 MiB."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one set took: CPU of the worker alone, and of the sink."""

    file_bytes: int
    requests: int
    bytes: int
    cpu_seconds: float
    sink_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """CPU of a worker: seconds for each request and for each byte."""

    request_seconds: float
    byte_seconds: float


def write(folder: str, size: int) -> str:
    """Write a file and return its path."""
    path = os.path.join(folder, str(size))
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


async def send(path: str, files: int, sink: SinkDestination) -> Cost:
    """Send a file so many times, under as many keys."""
    found = os.stat(path)
    size = found.st_size
    items = [
        FileItem(number, path, f"{size}/{number}", size, found.st_mtime_ns, found.st_ino, None, False)
        for number in range(files)
    ]
    requests, waiting = 0, list[Event]()

    def emit(event: Event) -> None:
        nonlocal requests
        requests += isinstance(event, PartDone) or (isinstance(event, FileDone) and event.part_size is None)
        waiting.append(event)
        if isinstance(event, PartDone) or len(waiting) == PipeChannel.most_events:  # as for the pipe
            pickle.dumps(Events(rows_of(waiting)))
            waiting.clear()

    settings = WorkerSettings(AwsAccess(), Limits(), logging.WARNING)
    async with open_store(settings, None) as store:
        engine = Engine(store, settings.limits, emit)
        for item in items:
            engine.submit("benchmark", item, ObjectSettings())
        engine.close()
        sink.mark()
        before, cpu = sink.counts(), time.process_time()
        await engine.run()
        cpu = time.process_time() - cpu
        sink_cpu = sink.counts().since(before).cpu_seconds
    return Cost(size, requests, files * size, round(cpu, 4), round(sink_cpu, 4))


def fit(costs: Sequence[Cost]) -> Fit:
    """Fit seconds a request and a byte, each set weighing the same: relative errors are made small."""
    rows = [(cost.requests / cost.cpu_seconds, cost.bytes / cost.cpu_seconds) for cost in costs]
    aa, ab, bb = (sum(x * y for x, y in pairs) for pairs in (
        [(a, a) for a, _ in rows], rows, [(b, b) for _, b in rows],
    ))  # fmt: skip
    a, b = sum(row[0] for row in rows), sum(row[1] for row in rows)
    spread = aa * bb - ab * ab
    return Fit((a * bb - b * ab) / spread, (b * aa - a * ab) / spread)


def measure(rounds: int, scale: float = 1.0) -> list[Cost]:
    """Measure each set so many times, in turn, and return the medians by CPU."""
    import uvloop

    taken: dict[int, list[Cost]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="cost-") as folder,
        running_sink(tls=True) as sink,
        mock.patch.dict(os.environ, sink.environment(), clear=True),
    ):
        for _, (size, files) in product(range(rounds), SETS.items()):
            cost = uvloop.run(send(write(folder, size), max(1, round(files * scale)), sink))
            taken.setdefault(size, []).append(cost)
    return [sorted(costs, key=lambda cost: cost.cpu_seconds)[len(costs) // 2] for costs in taken.values()]


def table(costs: Sequence[Cost], found: Fit) -> str:
    """Return what was measured, and what the fit says, in microseconds."""
    lines = ["| bytes of a file | requests | CPU us a request | fitted | sink, us |", "|---|---|---|---|---|"]
    for cost in costs:
        fitted = found.request_seconds + found.byte_seconds * cost.bytes / cost.requests
        measured, sink = cost.cpu_seconds / cost.requests, cost.sink_cpu_seconds / cost.requests
        figures = " | ".join(f"{seconds * 1e6:,.0f}" for seconds in (measured, fitted, sink))
        lines.append(f"| {cost.file_bytes:,} | {cost.requests:,} | {figures} |")
    lines.append(f"\n{found.request_seconds * 1e6:.0f} us a request and {found.byte_seconds * 1e9:.2f} s a GB")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``request-cost``."""
    parser.add_argument("--rounds", type=int, default=3, help="the medians count (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of files")
    parser.add_argument("--out", default="benchmarks/results", help="folder for the JSON (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Measure, write the JSON and print what was found."""
    date, started = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.strftime("%Y%m%d_%H%M%S")
    costs = measure(options.rounds, options.scale)
    found = fit(costs)
    print(table(costs, found))
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"request_cost_{started}.json")
    with open(path, "w", encoding="utf-8") as file:
        about = {"date": date, "machine": machine(), "versions": versions()}
        json.dump(about | {"costs": [*map(asdict, costs)], "fit": asdict(found)}, file, indent=2)
        file.write("\n")
    print(f"written to {path}")
    return 0
