"""How many results a second the coordinator's process takes, with journal and run log.

Workers that do nothing report each file they are given as done: the coordinator deals out shares, takes the outcomes,
and its recorder writes the journal and the run log, snapshots included, all as in an upload. Pickling of shares and
unpickling of results is counted; making the results, and the system calls of a pipe or a network, are not.

- ``files``: each result is a file of one piece, up to 100 in a message.
- ``parts``: each result is a part of a big file, and a message of its own, as workers send them.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import logging
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from async_s3_upload.delivery.recording import Recorder, now_text
from async_s3_upload.runs.file_table import LocalFile
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.run_state import RunState, recall
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import AwsAccess, Limits, WorkerSettings
from async_s3_upload.transfer.parts import PART_SIZE
from async_s3_upload.transfer.plan import Job, plan_job
from benchmarks.idle_pool import IdlePool
from benchmarks.results import machine, versions

RESULTS_A_SECOND = 20_000
"""The bar (issue: beyond one machine)."""
RUN_ID, BUCKET, ROOT = "240101_D00001_0001_AHISEQXX", "benchmark", "/nowhere"
PARTS_A_FILE = 1_000
KINDS: tuple[Kind, ...] = ("files", "parts")

Kind = Literal["files", "parts"]
MakePool = Callable[[WorkerSettings], IdlePool]


@dataclass(frozen=True, slots=True)
class Taken:
    """One round: seconds of the coordinator's process, what made the results taken off."""

    kind: Kind
    workers: int
    results: int
    cpu_seconds: float
    wall_seconds: float
    messages: int
    snapshots: int

    @property
    def results_a_second(self) -> float:
        """How many results a second of CPU takes; the process has one core."""
        return self.results / self.cpu_seconds


def job_of(kind: Kind, results: int) -> Job:
    """Return a job that makes so many results: files in folders as HiSeq writes them, or big ones."""
    if kind == "parts":
        big = [
            LocalFile(f"Data/Intensities/BaseCalls/L001/C{number}.1/L001_1.cbcl", PARTS_A_FILE * PART_SIZE, number, 1)
            for number in range(max(1, results // PARTS_A_FILE))
        ]
        return plan_job(BUCKET, f"runs/{RUN_ID}", ROOT, big)
    small = [
        LocalFile(
            f"Data/Intensities/BaseCalls/L00{number // 192 % 8 + 1}/C{number // 1536 + 1}.1/s_1_{number % 192}.bcl",
            1000 + number * 7 % 5000,
            1_700_000_000_000_000_000 + number,
            number,
        )
        for number in range(results)
    ]
    return plan_job(BUCKET, f"runs/{RUN_ID}", ROOT, small)


async def take(kind: Kind, results: int, workers: int, log_dir: str, make_pool: MakePool = IdlePool) -> Taken:
    """Send one job with workers that do nothing, and record it in ``log_dir``; another pool may lead to these."""
    identity = Identity(ROOT, BUCKET, "runs")
    remembered = RunLogs(log_dir).find(identity)
    os.makedirs(os.path.dirname(remembered.path), exist_ok=True)
    recorder = _Counting(RunState(recall(identity, remembered), remembered, identity, now_text()), {})
    job = job_of(kind, results)
    settings = WorkerSettings(AwsAccess(), Limits(most_concurrency=128), logging.WARNING)
    pool = make_pool(settings)
    async with Coordinator(pool, workers) as coordinator, recorder.writing(coordinator.stop):
        pool.grow_to(workers)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        recorder.begin(job)
        sent = await coordinator.send(job, recorder.take, recorder.refreshed)
        cpu, wall = time.process_time() - cpu - pool.cpu_seconds, time.perf_counter() - wall - pool.cpu_seconds
    assert not sent.stopped
    assert not recorder.failures
    recorder.state.finish(job.names, {}, now_text())
    assert recorder.state.log.completed
    return Taken(kind, workers, pool.results, round(cpu, 4), round(wall, 4), pool.sent, recorder.snapshots)


class _Counting(Recorder):
    """Counts the run log's snapshots."""

    snapshots = 0

    def snapshot_taken(self, began: float) -> None:
        """Count."""
        super().snapshot_taken(began)
        self.snapshots += 1


def measure(kind: Kind, results: int, workers: int, rounds: int, work_dir: str | None) -> list[Taken]:
    """Measure so many rounds, each with a log folder of its own."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="coordinator-", dir=work_dir) as log_dir:
            found.append(asyncio.run(take(kind, results, workers, log_dir)))
    return found


def table(rounds: Sequence[Taken]) -> str:
    """Return the medians as a Markdown table."""
    lines = ["| results | workers | us a result | results a second | least | most |", "|---|---|---|---|---|---|"]
    for kind, workers in dict.fromkeys((each.kind, each.workers) for each in rounds):
        rates = [each.results_a_second for each in rounds if (each.kind, each.workers) == (kind, workers)]
        middle = statistics.median(rates)
        lines.append(
            f"| {kind} | {workers} | {1e6 / middle:.1f} | {middle:,.0f} | {min(rates):,.0f} | {max(rates):,.0f} |"
        )
    return "\n".join(lines)


def missed(rounds: Sequence[Taken]) -> list[str]:
    """Name what is below the bar."""
    found = []
    for kind in dict.fromkeys(each.kind for each in rounds):
        middle = statistics.median(each.results_a_second for each in rounds if each.kind == kind)
        if middle < RESULTS_A_SECOND:
            found.append(f"{kind}: only {middle:,.0f} results a second, fewer than {RESULTS_A_SECOND:,}")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``coordinator-limit``."""
    parser.add_argument("--results", type=int, default=200_000, help="of each round (default: %(default)s)")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 256], metavar="N")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: %(default)s)")
    parser.add_argument("--work-dir", help="where the logs are written (default: the system's temporary folder)")
    parser.add_argument("--out", default="benchmarks/results", help="folder for the JSON (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="only show where the time of one round goes")


def run(options: argparse.Namespace) -> int:
    """Measure, write the JSON and print the medians; 1 where the bar is missed."""
    gc.set_threshold(50_000)  # as the command does
    if options.profile:
        return _profile(options)
    date, started = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.strftime("%Y%m%d_%H%M%S")
    rounds = []
    for kind in options.kinds:
        for workers in options.workers:
            rounds += measure(kind, options.results, workers, options.rounds, options.work_dir)
            print(f"{kind}, {workers} workers: {rounds[-1].results_a_second:,.0f} results a second", file=sys.stderr)
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"coordinator_{started}.json")
    with open(path, "w", encoding="utf-8") as file:
        about = {"date": date, "machine": machine(), "versions": versions()}
        json.dump(about | {"rounds": [*map(asdict, rounds)], "missed": missed(rounds)}, file, indent=2)
        file.write("\n")
    print(f"{table(rounds)}\n\nwritten to {path}")
    wrong = missed(rounds)
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong))


def _profile(options: argparse.Namespace) -> int:
    for kind in options.kinds:
        profile = cProfile.Profile(time.process_time)
        profile.enable()
        measure(kind, options.results, options.workers[0], 1, options.work_dir)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return 0
