"""What is shared and what works: pipes, S3's limit of requests, workers, and the work they hold."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from async_s3_upload.transfer.engine.gate import AdaptiveGate
from benchmarks.scaling_model.site import Group, Site

BURST_S = 0.25
"""So long a partition that was idle serves more than its rate; AWS does not say."""


class Pipe:
    """Serves one after another: so long as all who use it share it, that ends when sharing it evenly would."""

    __slots__ = ("busy_s", "free_at")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.busy_s = 0.0

    def use(self, now: float, seconds: float) -> float:
        """Take it for ``seconds``, as soon as it is free, and return when that ends."""
        self.free_at = max(self.free_at, now) + seconds
        self.busy_s += seconds
        return self.free_at


class Requests:
    """S3's limit for the keys of a run, a bucket of tokens of ``BURST_S``; a partition too busy for long is split."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rate = site.partitions * site.partition_requests
        self._tokens = self._rate * BURST_S
        self._at = 0.0
        self._busy_since: float | None = None
        self._refused_at = 0.0
        self.splits = 0

    def admit(self, now: float, count: int) -> int:
        """Return how many of ``count`` requests are served; the others are told to slow down."""
        self._tokens = min(self._rate * BURST_S, self._tokens + (now - self._at) * self._rate)
        self._at = now
        admitted = min(count, int(self._tokens))
        self._tokens -= admitted
        if admitted < count:
            self._note_refusal(now)
        return admitted

    def _note_refusal(self, now: float) -> None:
        if self._busy_since is None or now - self._refused_at > self._site.split_after_s / 10:
            self._busy_since = now
        elif now - self._busy_since >= self._site.split_after_s:
            self._rate *= 2
            self.splits += 1
            self._busy_since = now
        self._refused_at = now


@dataclass(slots=True, eq=False)
class Upload:
    """A multipart upload: so many parts are not told to the coordinator."""

    left: int


@dataclass(slots=True, eq=False)
class Piece:
    """Requests of a group: parts of ``upload``, or files of one piece where that is None."""

    group: Group
    count: int
    upload: Upload | None = None
    tries: int = 0

    def split(self, count: int) -> Piece:
        """Take ``count`` requests off."""
        self.count -= count
        return Piece(self.group, count, self.upload, self.tries)


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process: its core, what it has not begun, and what the coordinator thinks it has in hand."""

    card: Pipe
    gate: AdaptiveGate
    slow_by: float = 1.0
    core: Pipe = field(default_factory=Pipe)
    stock: deque[Piece] = field(default_factory=deque)
    in_flight: int = 0
    units: int = 0
    held_bytes: float = 0.0
    not_begun: int = 0
    alive: bool = True

    def put(self, piece: Piece, *, first: bool = False) -> None:
        """Add work that it has not begun."""
        self.not_begun += piece.count
        (self.stock.appendleft if first else self.stock.append)(piece)

    def take_first(self, count: int) -> Piece:
        """Take so many requests of the first piece."""
        self.not_begun -= count
        piece = self.stock[0]
        return self.stock.popleft() if piece.count == count else piece.split(count)

    def take_last(self, most: int) -> Piece:
        """Take the last piece, or ``most`` requests of it."""
        piece = self.stock[-1]
        piece = self.stock.pop() if piece.count <= most else piece.split(most)
        self.not_begun -= piece.count
        return piece

    def empty(self) -> list[Piece]:
        """Take all that it has not begun."""
        pieces = list(self.stock)
        self.stock.clear()
        self.not_begun = 0
        return pieces

    def hold(self, piece: Piece, sign: int = 1) -> None:
        """Note what was given, or (with -1) is not in its hands any more."""
        self.units += sign * piece.count
        self.held_bytes += sign * piece.count * piece.group.request_bytes


class Queue:
    """Files that were not handed out, the biggest first; what came back goes first."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups = deque((group, group.files) for group in groups)
        self.back: deque[Piece] = deque()
        self.files = sum(group.files for group in groups)

    def __bool__(self) -> bool:
        return bool(self._groups or self.back)

    def take(self, most: int, room: float) -> Piece | None:
        """Take one file in parts, or as many small ones as have room in so many bytes, one at least."""
        if self.back:
            return self.back.popleft()
        if not self._groups:
            return None
        group, left = self._groups.popleft()
        files = 1
        if group.in_parts:
            piece = Piece(group, group.requests, Upload(group.requests))
        else:
            files = max(1, min(most, left, math.ceil(room / group.size)))
            piece = Piece(group, files)
        self.files -= files
        if left > files:
            self._groups.appendleft((group, left - files))
        return piece
