"""What is asked of a made-up run, and the times that follow from it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from async_s3_upload.demo.instrument.script import Ending, Read, Timeline, split_reads

FIRST_CYCLE_AT = 0.02
DATA_SPAN = 0.93
"""The fraction of a run in which the cycles lie: before it the instrument sets up, after it the copying ends."""
FAILS_AFTER = 0.6
STALLS_AFTER = 0.55
LATE_LOGS = (1.02, 1.05)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run of ``seconds`` that holds about ``total_bytes`` in the end, of a layout with ``cycles``.

    A ``failed`` run is given up by the instrument after 60 % of its cycles, and says so; a ``stalled`` one stops in
    the midst of a cycle and says nothing.
    """

    total_bytes: int
    cycles: int
    seconds: float
    seed: int
    ending: Ending = "complete"
    late_logs: bool = False
    reads: tuple[Read, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the cycles into reads."""
        object.__setattr__(self, "reads", split_reads(self.cycles))

    @property
    def last_cycle(self) -> int:
        """The cycle after which the instrument writes the end of the run."""
        return math.ceil(self.cycles * FAILS_AFTER) if self.ending == "failed" else self.cycles

    @property
    def data_end(self) -> float:
        """When the last cycle is over, as a fraction of the run."""
        return self.cycle_at(self.last_cycle + 1)

    def cycle_at(self, cycle: int) -> float:
        """When a cycle (counted from 1) begins, as a fraction of the run."""
        return FIRST_CYCLE_AT + DATA_SPAN * (cycle - 1) / self.cycles

    def after_data(self, part: float) -> float:
        """Return a time in the end of the run: 0 is the end of the last cycle, 1 the end of the run."""
        return self.data_end + part * (1 - FIRST_CYCLE_AT - DATA_SPAN)

    def completed_reads(self) -> tuple[Read, ...]:
        """Return the reads with the cycles that were done when the run ended."""
        found, left = [], self.last_cycle
        for read in self.reads:
            found.append(Read(read.name, min(read.cycles, left), read.is_index))
            left -= found[-1].cycles
        return tuple(found)

    def read_ends(self) -> list[tuple[int, float]]:
        """Return number and time of each read that came to its end."""
        found, cycles = [], 0
        for number, read in enumerate(self.reads, start=1):
            cycles += read.cycles
            if cycles <= self.last_cycle:
                found.append((number, self.cycle_at(cycles + 1)))
        return found

    def timeline(self) -> Timeline:
        """Return an empty timeline of the run."""
        return Timeline(self.seconds, random.Random(self.seed))  # noqa: S311 - made-up data, not a secret

    def spread(self, times: int, begin: float = FIRST_CYCLE_AT) -> list[float]:
        """Return so many times from ``begin`` to the end of the data, the last one just at that end."""
        return [begin + (self.data_end - begin) * number / times for number in range(1, times + 1)]
