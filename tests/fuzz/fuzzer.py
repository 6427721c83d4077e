"""Runs a target on changed inputs until its time, or number, is up or an input breaks its contract."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from random import Random
from types import FrameType

from .mutation import grown, mutate
from .target import Target

MIB = 1024 * 1024
BIG_EVERY = 2_500
MOST_KEPT = 2_000
# Seconds of CPU, so that a busy machine fails nobody: linear for short inputs, bounded for all. Work that grows with
# the square takes minutes for 1 MiB.
LIMIT, LIMIT_PER_MIB, LIMIT_AT_MOST = 0.25, 1.5, 4.0
HANG = 20.0


class Hang(BaseException):
    """An input took so long that it was stopped; no parser can catch this by accident."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The input that broke the contract, and how, in one line."""

    content: bytes
    reason: str


@dataclass(slots=True)
class Report:
    """What came of it; ``cpu`` of the slowest input in seconds."""

    executions: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_bytes: int = 0
    big: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failure: Failure | None = None


def fuzz(
    target: Target, seed: int, *, seconds: float = float("inf"), executions: int | None = None, timed: bool = True
) -> Report:
    """Give the target its seeds, then changed ones; stop at the first failure, or after seconds or executions.

    Without ``timed``, for tests, a slow input is no failure; one that takes longer than ``HANG`` still is.
    """
    started = time.monotonic()
    draw = Random(f"{target.name} {seed}")
    kept = list(target.seeds())
    report = Report()
    for content in chain(list(kept), _changed(draw, target, kept)):
        report.seconds = time.monotonic() - started
        if report.seconds >= seconds or report.executions == executions:
            break
        report.executions += 1
        report.big += len(content) >= MIB
        outcome, cpu, failure = run(target, content, timed=timed)
        if failure is not None:
            report.failure = shrunk(target, failure)
            break
        if cpu > report.slowest:
            report.slowest, report.slowest_bytes = cpu, len(content)
        if outcome not in report.outcomes and len(content) < MIB and len(kept) < MOST_KEPT:
            kept.append(content)
        report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1
    return report


def _changed(draw: Random, target: Target, kept: list[bytes]) -> Iterator[bytes]:
    """Yield inputs without end; each ``BIG_EVERY``-th is about as long as the parser takes, or just too long."""
    number = 0
    while True:
        number += 1
        short = min(draw.choice(kept), draw.choice(kept), key=len)
        content = mutate(draw, short, kept, target.words)
        if number % BIG_EVERY == 0:
            size = draw.choice([target.max_bytes // 16, target.max_bytes // 2, target.max_bytes, target.max_bytes + 1])
            content = grown(draw, content, target.words, size)
        yield content


def run(target: Target, content: bytes, *, timed: bool = True) -> tuple[str, float, Failure | None]:
    """Return the outcome, the seconds of CPU it took, and what is wrong, if anything."""
    limit = min(LIMIT + LIMIT_PER_MIB * len(content) / MIB, LIMIT_AT_MOST)
    outcome, wrong = "", ""
    before = time.process_time()
    try:
        with stopped_after(HANG):
            outcome = target.check(content)
    except Hang:
        wrong = f"Hang: stopped after {HANG:.0f} s of CPU for {len(content)} bytes"
    except Exception as error:  # whatever slips out is what is looked for
        wrong = f"{type(error).__name__}: {error!s:.500}".replace("\n", " ")
    cpu = time.process_time() - before
    if timed and not wrong and cpu > limit:
        wrong = f"Slow: {cpu:.2f} s of CPU for {len(content)} bytes, at most {limit:.2f} are allowed"
    return outcome, cpu, Failure(content, wrong) if wrong else None


@contextmanager
def stopped_after(cpu_seconds: float) -> Iterator[None]:
    """Raise Hang inside after so many seconds of the process's own CPU time."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Hang

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def shrunk(target: Target, failure: Failure, attempts: int = 2_000) -> Failure:
    """Return the failure with what is not needed for it taken out; a slow input stays as it is."""
    kind = failure.reason.split(":", 1)[0]
    step = len(failure.content) // 2
    while step and attempts and kind not in ("Slow", "Hang"):
        at, found = 0, False
        while at < len(failure.content) and attempts:
            attempts -= 1
            _, _, smaller = run(target, failure.content[:at] + failure.content[at + step :])
            if smaller is not None and smaller.reason.split(":", 1)[0] == kind:
                failure, found = smaller, True
            else:
                at += step
        if not found:
            step //= 2
    return failure


def save(failure: Failure, target: Target, folder: str) -> str:
    """Write the input into the folder and return its path."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{target.name}-{hashlib.sha256(failure.content).hexdigest()[:12]}")
    with open(path, "wb") as file:
        file.write(failure.content)
    return path
