"""What an instrument does while it writes a run: a sequence of timed steps, as values."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["write", "append", "rename"]
Ending = Literal["complete", "failed", "stalled"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an instrument does ``at`` a second of the run.

    ``write`` creates the file or writes it anew from its beginning, ``append`` adds to its end (or creates it): either
    brings ``size`` bytes, which are ``text`` where it is given and made up where it is None. ``rename`` moves
    ``source`` to ``path``. Paths are relative to the run folder, with slashes.
    """

    at: float
    action: Action
    path: str
    size: int = 0
    text: bytes | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole run. ``steps`` are in the order of their times.

    ``markers`` are the files that say that the run, or a stage of all of it, ended, in their order; the last one ends
    the run. ``ends_at`` is the index of the step after which the run is over in the way that ``ending`` says, None
    where it just stops (``stalled``). Steps behind that one are late logs. ``completes_at`` is the same for complete
    runs only.
    """

    layout: str
    run_id: str
    seed: int
    ending: Ending
    markers: tuple[str, ...]
    ends_at: int | None
    steps: tuple[Step, ...]

    @property
    def completes_at(self) -> int | None:
        """Index of the step after which the run is complete; None for a run that never is."""
        return self.ends_at if self.ending == "complete" else None

    @property
    def seconds(self) -> float:
        """When the run is over; of one that stalls, when the last thing happened."""
        return self.steps[-1 if self.ends_at is None else self.ends_at].at

    @property
    def written_bytes(self) -> int:
        """All that is ever written, what is written anew included."""
        return sum(step.size for step in self.steps)

    def sizes_after(self, steps: int | None = None) -> dict[str, int]:
        """Return the size of each file that is there after so many steps (all of them where None), by path."""
        sizes: dict[str, int] = {}
        for step in self.steps[:steps]:
            if step.action == "rename":
                sizes[step.path] = sizes.pop(step.source)
            elif step.action == "write":
                sizes[step.path] = step.size
            else:
                sizes[step.path] = sizes.get(step.path, 0) + step.size
        return sizes


_TORN_FOR = 0.0005
"""For this fraction of the run a document that is being written is there in part."""


@dataclass(slots=True)
class Timeline:
    """Collects steps in any order. Times are fractions: 0 is the begin of a run, 1 the end of one that completes."""

    seconds: float
    random: random.Random
    _steps: list[Step] = field(default_factory=list)

    def text(self, at: float, path: str, text: str, action: Action = "write") -> None:
        """Write (or append) a text at once."""
        content = text.encode()
        self._add(Step(at, action, path, len(content), content))

    def torn_text(self, at: float, path: str, text: str) -> None:
        """Write a text in two pieces: whoever looks in between sees the first half of it."""
        half = len(text) // 2
        self.text(at, path, text[:half])
        self.text(at + _TORN_FOR, path, text[half:], "append")

    def data(self, at: float, path: str, size: int, *, until: float | None = None, pieces: int = 1) -> None:
        """Write a file once, in ``pieces`` spread from ``at`` to ``until``, not quite evenly."""
        sizes = shares(size, pieces)
        self._add(Step(at, "write", path, sizes[0]))
        span = (at if until is None else until) - at
        for number, piece in enumerate(sizes[1:], start=1):
            self._add(Step(at + span * (number + self.random.uniform(-0.3, 0)) / (pieces - 1), "append", path, piece))

    def renamed(self, at: float, path: str, size: int, *, until: float, temporary: str, pieces: int = 2) -> None:
        """Write a file under another name, and give it its own when it is whole."""
        self.data(at, temporary, size, until=until, pieces=pieces)
        self._add(Step(until, "rename", path, source=temporary))

    def grows(self, times: Sequence[float], path: str, size: int) -> None:
        """Append to a file at each of the times; it has ``size`` bytes in the end."""
        for at, piece in zip(times, shares(size, len(times)), strict=True):
            self._add(Step(at, "append", path, piece))

    def rewritten(self, times: Sequence[float], path: str, size: int) -> None:
        """Write a file anew at each of the times, each time larger; it has ``size`` bytes in the end."""
        for number, at in enumerate(times, start=1):
            self._add(Step(at, "write", path, size * number // len(times)))

    def stop(self, at: float) -> None:
        """Let nothing happen after this time."""
        self._steps = [step for step in self._steps if step.at <= at]

    def script(self, layout: str, run_id: str, seed: int, ending: Ending, markers: tuple[str, ...]) -> Script:
        """Return the run; the last of ``markers`` ends it."""
        steps = sorted(self._steps, key=lambda step: step.at)  # stable: at the same time, in the order of adding
        ends_at = None
        if ending != "stalled":
            ends_at = max(index for index, step in enumerate(steps) if step.path == markers[-1])
        timed = tuple(
            Step(round(step.at * self.seconds, 6), step.action, step.path, step.size, step.text, step.source)
            for step in steps
        )
        return Script(layout, run_id, seed, ending, markers, ends_at, timed)

    def _add(self, step: Step) -> None:
        self._steps.append(step)


def shares(total: int, count: int, weights: Iterable[float] | None = None) -> list[int]:
    """Cut ``total`` into ``count`` whole numbers whose sum it is, equal or as the ``weights`` are."""
    parts = list(weights) if weights is not None else [1.0] * count
    found: list[int] = []
    whole, done, passed = sum(parts), 0, 0.0
    for part in parts:
        passed += part
        upto = total if len(found) == len(parts) - 1 else int(total * passed / whole)
        found.append(upto - done)
        done = upto
    return found


@dataclass(frozen=True, slots=True)
class Read:
    """One read of a run: its name in words of the layout's texts, its cycles, and whether it reads an index."""

    name: str
    cycles: int
    is_index: bool


def split_reads(cycles: int) -> tuple[Read, ...]:
    """Return Read1, Index1, Index2, Read2 whose cycles add up; the indices have a tenth each, at most 10.

    Raises:
        ValueError: there are fewer than four cycles.
    """
    if cycles < 4:
        raise ValueError(f"a run has at least 4 cycles, not {cycles}")
    index = max(1, min(10, cycles // 10))
    first = (cycles - 2 * index + 1) // 2
    last = cycles - 2 * index - first
    return (
        Read("Read1", first, False),
        Read("Index1", index, True),
        Read("Index2", index, True),
        Read("Read2", last, False),
    )
