"""What a comparison found: runs, medians, and ratios of ours to the others, round by round."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.programs import FLOOR, OURS


@dataclass(frozen=True, slots=True)
class Setup:
    """Which data go over which connection. ``latency_ms`` is how late each answer comes."""

    dataset: str
    scheme: str
    latency_ms: float = 0.0

    @property
    def title(self) -> str:
        """Return a short name, as in the tables."""
        late = f" {self.latency_ms:g} ms" if self.latency_ms else ""
        return f"{self.dataset} {self.scheme}{late}"


@dataclass(frozen=True, slots=True)
class Run:
    """One upload by one program. Memory is in MiB; ``repeat`` 0 is the warm-up, else the number of the round.

    ``failure`` says why it is not a time, empty where it is one. ``files`` and ``bytes`` are what arrived.
    """

    setup: Setup
    program: str
    repeat: int
    seconds: float
    cpu_seconds: float
    peak_pss_mb: float
    files: int
    bytes: int
    requests: int | None
    sink_cpu_seconds: float | None
    exit_code: int
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, with the least, the greatest, and how many they are."""

    median: float
    least: float
    greatest: float
    times: int

    def __str__(self) -> str:
        """Write it as the tables have it."""
        return f"{self.median:.2f} ({self.least:.2f}–{self.greatest:.2f})"


@dataclass(frozen=True, slots=True)
class Summary:
    """One program in one setup; the ratios are ours to it, so below 1 ours is better. None where nothing is known."""

    setup: Setup
    program: str
    times: int
    failed: int
    failure: str
    seconds: float | None
    cpu_seconds: float | None
    cpu_seconds_per_gb: float | None
    peak_pss_mb: float | None
    sink_cpu_seconds: float | None
    wall_ratio: Spread | None
    cpu_ratio: Spread | None


def spread(figures: Sequence[float]) -> Spread | None:
    """Return the spread of some figures, None of none."""
    return Spread(statistics.median(figures), min(figures), max(figures), len(figures)) if figures else None


def ratios(ours: Iterable[Run], theirs: Iterable[Run], figure: Callable[[Run], float]) -> Spread | None:
    """Compare pair by pair: ours and theirs of the same round. A round in which either failed has no ratio."""
    by_round = {run.repeat: figure(run) for run in _times(theirs)}
    return spread([figure(run) / by_round[run.repeat] for run in _times(ours) if by_round.get(run.repeat)])


def summaries(runs: Sequence[Run]) -> list[Summary]:
    """Return one summary for each program in each setup, in the order of their first runs."""
    groups: dict[tuple[Setup, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.setup, run.program), []).append(run)
    return [
        _summary(setup, program, group, groups.get((setup, OURS), [])) for (setup, program), group in groups.items()
    ]


def best_peer(found: Iterable[Summary], setup: Setup) -> Summary | None:
    """Return the peer that takes the least CPU in a setup; the floor is no peer."""
    peers = [
        summary
        for summary in found
        if summary.setup == setup and summary.cpu_seconds is not None and not _is_ours_or_floor(summary.program)
    ]
    return min(peers, key=lambda summary: summary.cpu_seconds or 0.0, default=None)


def _is_ours_or_floor(program: str) -> bool:
    return program.partition(":")[0] in (OURS, FLOOR)


def _times(runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run.repeat and not run.failure]


def _summary(setup: Setup, program: str, group: Sequence[Run], ours: Sequence[Run]) -> Summary:
    times = _times(group)
    failures = [run.failure for run in group if run.failure]

    def middle(figure: Callable[[Run], float | None]) -> float | None:
        figures = [value for value in map(figure, times) if value is not None]
        return round(statistics.median(figures), 3) if figures else None

    compared = program != OURS
    return Summary(
        setup=setup,
        program=program,
        times=len(times),
        failed=len(failures),
        failure=failures[0] if failures else "",
        seconds=middle(lambda run: run.seconds),
        cpu_seconds=middle(lambda run: run.cpu_seconds),
        cpu_seconds_per_gb=middle(lambda run: run.cpu_seconds / run.bytes * 1e9 if run.bytes else None),
        peak_pss_mb=middle(lambda run: run.peak_pss_mb),
        sink_cpu_seconds=middle(lambda run: run.sink_cpu_seconds),
        wall_ratio=ratios(ours, group, lambda run: run.seconds) if compared else None,
        cpu_ratio=ratios(ours, group, lambda run: run.cpu_seconds) if compared else None,
    )
