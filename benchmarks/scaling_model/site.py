"""What is modelled: where uploads run, what a request costs, and what is uploaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.messages import Limits

GBIT = 1e9 / 8
"""Bytes a second of one Gbit/s."""
MIB = 1024 * 1024
HELD_BYTES = 2 * Limits().memory_bytes
"""A worker is given files while it has less than this in hand (``coordination.dealer``)."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of CPU, measured (docs/scaling.md says where; of a part no more than of a file was taken for granted).

    ``request`` and ``byte`` are a worker's, over TLS. ``result`` is the coordinator's for a file of one piece, ``part``
    for a part, ``completion`` for the request that completes a multipart upload.
    """

    request: float = 144e-6
    byte: float = 0.861e-9
    result: float = 42e-6
    part: float = 42e-6
    completion: float = 1e-3


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: worker 0 is so many times slower; so many workers die at a time."""

    slow_by: float = 1.0
    deaths: int = 0
    death_at_s: float = 0.0
    lease_s: float = 12.0
    """After so long a dead worker's files are tried again."""


@dataclass(frozen=True, slots=True)
class Site:
    """Hosts, what they share, and S3. Rates in bytes or requests a second, times in seconds.

    Sources of what is S3's: AWS, "Best practices design patterns: optimizing Amazon S3 performance" (3,500 PUT a second
    for each partitioned prefix, 100 Gbit/s an instance, 100 to 200 ms) and "Performance design patterns for Amazon S3"
    (85 to 90 MB/s a connection).
    """

    hosts: int
    card: float
    workers: int = 8
    """Worker processes of a host, each with a core."""
    in_flight: int = 128
    """Requests of a worker, at most."""
    latency_s: float = 0.1
    connection: float = 90e6
    instance: float = 100 * GBIT
    partitions: int = 1
    partition_requests: float = 3500.0
    split_after_s: float = 1800.0
    """A partition that was too busy for so long has become two."""
    storage: float = math.inf
    part_size: int = 0
    """Of parts, where it is not the usual 8 MiB."""
    message_s: float = 0.055
    """From a worker to the coordinator: 5 ms on the way, and half of the time for which events are gathered."""
    costs: Costs = field(default_factory=Costs)
    faults: Faults = field(default_factory=Faults)

    @property
    def line(self) -> float:
        """Bytes a second of one host."""
        return min(self.card, self.instance)

    @property
    def all_workers(self) -> int:
        """Workers of all hosts."""
        return self.hosts * self.workers


@dataclass(frozen=True, slots=True)
class Group:
    """Files of the same size: of each, ``requests`` of ``request_bytes``."""

    files: int
    size: int
    requests: int
    request_bytes: float

    @property
    def in_parts(self) -> bool:
        """Whether they are multipart uploads."""
        return self.requests > 1


@dataclass(frozen=True, slots=True)
class Workload:
    """A run: pairs of a number of files and their size in bytes."""

    name: str
    sizes: tuple[tuple[int, int], ...]

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(files for files, _ in self.sizes)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(files * size for files, size in self.sizes)

    def groups(self, part_size: int = 0) -> Iterator[Group]:
        """Yield groups, the biggest files first; parts are as long as each other here."""
        for files, size in sorted(self.sizes, key=lambda pair: -pair[1]):
            count = math.ceil(size / parts.part_size(size, part_size)) if parts.is_multipart(size) else 1
            yield Group(files, size, count, size / count)

    def times(self, factor: int) -> Workload:
        """Return so many of it."""
        return Workload(f"{factor} x {self.name}", tuple((files * factor, size) for files, size in self.sizes))


NOVASEQ_X = Workload("NovaSeq X 25B", ((5_088, 2_160_000_000), (5_000, 27_000)))
"""11 TB: a CBCL for each lane, surface and cycle, and small files."""
NOVASEQ_6000 = Workload("NovaSeq 6000 S1", ((1_292, 78_000_000), (4_200, 290_000)))
"""102 GB in 5,492 files."""
HISEQ = Workload("HiSeq, a million files", ((500_000, 600_000), (500_000, 4_000)))
WORKLOADS = (NOVASEQ_X, NOVASEQ_6000, HISEQ)
