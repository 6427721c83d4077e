"""What a Dask cluster costs: the same upload by processes of this machine, and by as many Dask workers, in turn.

The CPU of the cluster's way is that of the command, of the Dask workers and of the scheduler while the command ran.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import datasets
from benchmarks.comparison import Run, Setup
from benchmarks.destination import Destination, running_sink
from benchmarks.grid import Folder, positive
from benchmarks.peers import Comparison
from benchmarks.programs import OURS, Program, programs
from tests.support.cluster.dask import DaskCluster

COLUMNS = (
    "set", "files", "GB", "CPU: cluster / local", "time: cluster / local",
    "local CPU s", "cluster CPU s", "of it workers", "scheduler",
)  # fmt: skip
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: CPU seconds and wall seconds of both ways; ``workers`` and ``scheduler`` are of the cluster's CPU."""

    local_cpu: float
    local_wall: float
    cluster_cpu: float
    cluster_wall: float
    workers: float
    scheduler: float

    @property
    def cpu_ratio(self) -> float:
        """The cluster's CPU by that of local processes."""
        return self.cluster_cpu / self.local_cpu

    @property
    def wall_ratio(self) -> float:
        """The cluster's time by that of local processes."""
        return self.cluster_wall / self.local_wall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``cluster``."""
    parser.add_argument("--sets", nargs="+", choices=datasets.NAMES, default=["big", "small"])
    parser.add_argument("--workers", type=positive, default=2, help="of each kind (default: %(default)s)")
    parser.add_argument("--repeats", type=positive, default=5, help="rounds after the warm-up (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data; 0.01 is a try (default: %(default)s)")
    parser.add_argument("--python", default=sys.executable, metavar="PATH",
                        help="of an environment as users install it (default: this one)")  # fmt: skip
    parser.add_argument("--data", help="folder in which the data are made (default: a temporary one)")


def run(options: argparse.Namespace) -> int:
    """Measure, and print a Markdown table; 1 where any upload failed."""
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in options.sets:
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-data-", dir=options.data) as parent,
            running_sink(tls=True) as sink,
        ):
            folder = datasets.make_dataset(parent, name, scale=options.scale)
            with _by(options.python), cluster_of(options.workers, sink) as cluster:
                pairs = measure(name, folder, sink, cluster, options.workers, options.repeats)
        if not pairs:
            return 1
        print(_row(name, folder, pairs), flush=True)
    return 0


@contextmanager
def _by(python: str) -> Iterator[None]:
    """Let the command, the scheduler and the workers be run by another interpreter."""
    ours, sys.executable = sys.executable, python
    try:
        yield
    finally:
        sys.executable = ours


@contextmanager
def cluster_of(workers: int, destination: Destination) -> Iterator[DaskCluster]:
    """Start a scheduler and so many workers, whose credentials are the destination's."""
    with DaskCluster(env=destination.environment()) as cluster:
        cluster.add_workers(*(f"worker-{number}" for number in range(workers)), nthreads=1)
        yield cluster


def measure(
    name: str, folder: Folder, destination: Destination, cluster: DaskCluster, workers: int, repeats: int
) -> list[Pair]:
    """Return the rounds, the warm-up left out; none where any upload failed."""
    local, shared = programs([f"{OURS}:--cores {workers}", f"{OURS}:--scheduler {cluster.address}"], "")
    datasets.read_all(folder)
    pairs = []
    for repeat in range(repeats + 1):
        one = _upload(name, folder, destination, local)
        before = _cpu_of(cluster)
        other = _upload(name, folder, destination, shared)
        workers_cpu, scheduler_cpu = (now - then for now, then in zip(_cpu_of(cluster), before, strict=True))
        if one.failure or other.failure:
            _say(one.failure or other.failure)
            return []
        pair = Pair(
            one.cpu_seconds, one.seconds,
            other.cpu_seconds + workers_cpu + scheduler_cpu, other.seconds, workers_cpu, scheduler_cpu,
        )  # fmt: skip
        _say(f"{name}: {'round ' + str(repeat) if repeat else 'warm-up'}: {pair}")
        pairs += [pair] if repeat else []
    return pairs


def _upload(name: str, folder: Folder, destination: Destination, program: Program) -> Run:
    (found,) = Comparison(Setup(name, "https"), folder, [program], 0, 0, "benchmark").run(destination, lambda _: None)
    return found


def _cpu_of(cluster: DaskCluster) -> tuple[float, float]:
    """Return the CPU seconds of all workers, and of the scheduler, until now."""
    return sum(_cpu_seconds(worker.pid) for worker in cluster.workers), _cpu_seconds(cluster.scheduler_pid)


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _row(name: str, folder: Folder, pairs: list[Pair]) -> str:
    def middle(*figures: float) -> str:
        return f"{statistics.median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"

    return " | ".join([
        f"| {name}",
        f"{folder.files}",
        f"{folder.bytes / 1e9:.2f}",
        middle(*(pair.cpu_ratio for pair in pairs)),
        middle(*(pair.wall_ratio for pair in pairs)),
        middle(*(pair.local_cpu for pair in pairs)),
        middle(*(pair.cluster_cpu for pair in pairs)),
        middle(*(pair.workers for pair in pairs)),
        middle(*(pair.scheduler for pair in pairs)) + " |",
    ])  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
