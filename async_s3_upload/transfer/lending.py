"""What crosses the pipe when work that one worker has not begun goes to another one that has none.

The worker that began a multipart upload is its owner, and it alone ends it. Parts that it gave back are sent by
others; what became of each is told to the owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_s3_upload.transfer.messages import FileItem, KnownPart


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A part of another worker's upload is not sent; ``kind`` and ``error`` are as ``trouble.told`` makes them."""

    number: int
    part: int
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class PartsQueued:
    """An upload is begun or gone on with: so many parts, of ``size`` bytes together, wait to be sent."""

    number: int
    parts: int
    size: int


@dataclass(frozen=True, slots=True)
class GiveBack:
    """To a worker: return about half of what is not begun, at least one file or part if there is any."""


@dataclass(frozen=True, slots=True)
class PartShare:
    """Parts of one upload, by their numbers."""

    bucket: str
    item: FileItem
    upload_id: str
    part_size: int
    with_checksum: bool
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """From a worker: files (by number) and parts that it has not begun and forgets; none if all is begun."""

    files: tuple[int, ...]
    parts: tuple[PartShare, ...]


@dataclass(frozen=True, slots=True)
class PartsBack:
    """To the owner of an upload: what became of parts that it gave back.

    ``again`` are to be sent by itself; ``failed`` are not sent by anybody, for the reason of each.
    """

    number: int
    accepted: tuple[KnownPart, ...] = ()
    failed: tuple[PartFailed, ...] = ()
    again: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CutOff:
    """To a worker: drop the files from ``first`` up to ``end``, cancel what is on its way of them."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class CutOffDone:
    """From a worker: nothing more happens to these files."""

    first: int


LendingToWorker = GiveBack | PartShare | PartsBack | CutOff
LendingFromWorker = Returned | CutOffDone
