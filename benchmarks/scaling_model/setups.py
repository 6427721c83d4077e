"""What ``simulate-scale`` looks at: set-ups that differ in one thing each, more and more hosts of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.scaling_model.formulas import Limit, bottleneck, seconds
from benchmarks.scaling_model.simulation import Simulated, simulate
from benchmarks.scaling_model.site import (
    GBIT,
    HISEQ,
    MIB,
    NOVASEQ_6000,
    NOVASEQ_X,
    Costs,
    Faults,
    Site,
    Workload,
)

HOSTS = (1, 2, 4, 8, 16, 32, 64)
DAY_S = 86_400.0
SOME = Workload("HiSeq, 100,000 files", tuple((files // 10, size) for files, size in HISEQ.sizes))
HALF = Workload("NovaSeq X 25B, half a run", ((2_544, 2_160_000_000), (2_500, 27_000)))
"""Rates are what is looked at; refusals by the million take long to simulate."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One line of the plot: ``site`` with more and more hosts."""

    name: str
    site: Site
    load: Workload


BIG = (
    Setup("10 Gbit/s, 4 workers", Site(1, 10 * GBIT, workers=4), HALF),
    Setup("25 Gbit/s, 8 workers", Site(1, 25 * GBIT), HALF),
    Setup("25 Gbit/s, storage gives 100", Site(1, 25 * GBIT, storage=100 * GBIT), HALF),
    Setup("100 Gbit/s, 16 workers, 16 partitions", Site(1, 100 * GBIT, workers=16, partitions=16), HALF),
    Setup("100 Gbit/s, 16 workers, parts of 64 MiB", Site(1, 100 * GBIT, workers=16, part_size=64 * MIB), HALF),
)
SMALL = (
    Setup("1 partition", Site(1, 25 * GBIT), SOME),
    Setup("4 partitions", Site(1, 25 * GBIT, partitions=4), SOME),
    Setup("32 partitions", Site(1, 25 * GBIT, partitions=32), SOME),
    Setup("32 partitions, 16 in flight", Site(1, 25 * GBIT, partitions=32, in_flight=16), SOME),
)
MIDDLE = (Setup("25 Gbit/s, 8 workers", Site(1, 25 * GBIT), NOVASEQ_6000),)
DAYS = tuple(
    Setup(f"{hosts} x {card} Gbit/s", Site(hosts, card * GBIT, workers=4 if card == 10 else 8), NOVASEQ_X.times(9))
    for hosts, card in ((1, 10), (2, 10), (4, 10), (1, 25), (2, 25), (1, 100))
)
"""99 TB: nine runs."""
_EIGHT = Site(8, 25 * GBIT, partitions=4)
FAULTY = (
    Setup("nothing", _EIGHT, NOVASEQ_X),
    Setup("one worker of 64 is ten times slower", replace(_EIGHT, faults=Faults(slow_by=10)), NOVASEQ_X),
    Setup("one worker dies", replace(_EIGHT, faults=Faults(deaths=1, death_at_s=200)), NOVASEQ_X),
    Setup("a host with 8 workers dies", replace(_EIGHT, faults=Faults(deaths=8, death_at_s=200)), NOVASEQ_X),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One simulation: what came out, what the formulas say, and what they name as the limit."""

    setup: Setup
    hosts: int
    found: Simulated
    least_seconds: float
    limit: Limit

    @property
    def gbit(self) -> float:
        """10^9 bits a second."""
        return self.found.rate / GBIT

    @property
    def terabytes_a_day(self) -> float:
        """10^12 bytes a day."""
        return self.found.rate * DAY_S / 1e12

    @property
    def files_a_second(self) -> float:
        """Files, of whatever size."""
        return self.setup.load.files / self.found.steady_seconds


def point(setup: Setup, hosts: int, seed: int = 1) -> Point:
    """Simulate a set-up with so many hosts."""
    site = replace(setup.site, hosts=hosts)
    found = simulate(site, setup.load, seed)
    return Point(setup, hosts, found, seconds(site, setup.load), bottleneck(site, setup.load))


def limits(setup: Setup, most_hosts: int) -> list[tuple[int, int, Limit]]:
    """Return which limit holds from how many hosts up to how many, by the formulas."""
    found: list[tuple[int, int, Limit]] = []
    for hosts in range(1, most_hosts + 1):
        limit = bottleneck(replace(setup.site, hosts=hosts), setup.load)
        if found and found[-1][2] == limit:
            found[-1] = (found[-1][0], hosts, limit)
        else:
            found.append((hosts, hosts, limit))
    return found


def limits_text(setup: Setup, most_hosts: int) -> str:
    """Return the same as people read it."""
    return ", ".join(
        f"{first} to {last}: {limit}" if last > first else f"{first}: {limit}"
        for first, last, limit in limits(setup, most_hosts)
    )


def chosen(most_hosts: int) -> Sequence[int]:
    """Return the numbers of hosts that are simulated."""
    return [hosts for hosts in HOSTS if hosts <= most_hosts]


# The benchmark of docs/performance.md: two workers, the coordinator and the sink share two cores, so that the costs of
# all count as the workers'; the sink's are those that `request-cost` shows beside.
_LOCAL = Site(
    1, math.inf, workers=2, in_flight=16, latency_s=0.0, connection=math.inf, instance=math.inf,
    partition_requests=1e9, message_s=0.0,
    costs=Costs(request=(144 + 80 + 19) * 1e-6, byte=(0.861 + 0.365) * 1e-9, result=0.0, part=0.0, completion=0.0),
)  # fmt: skip
START_S = 0.8
PROOF_S = 35e-6
"""Until the first byte goes off; and for each file the listing and comparison at the end (docs/performance.md)."""
LOCAL = {
    "big": Setup("big", _LOCAL, Workload("big", ((160, 16 * MIB),))),
    "one": Setup("one", _LOCAL, Workload("one", ((1, 8_000_000_000),))),
    "small": Setup("small", _LOCAL, Workload("small", ((20_000, 27 * 1024),))),
    "small 30 ms": Setup(
        "small, 30 ms", replace(_LOCAL, latency_s=0.03, in_flight=128), Workload("small", ((20_000, 27 * 1024),))
    ),
}
"""What was measured for real, and what the model says of it: the whole command, from its start to its end."""


def predicted_seconds(name: str) -> float:
    """Return how long the whole command should take for a set of the local benchmark, its end included."""
    setup = LOCAL[name]
    files = setup.load.files
    end_s = files * PROOF_S + math.ceil(files / 1000) * setup.site.latency_s
    return START_S + simulate(setup.site, setup.load).seconds + end_s
