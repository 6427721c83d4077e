"""What a worker says of an upload that the coordinator completes: then it is the coordinator's alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from async_s3_upload.transfer.messages import KnownPart

Completes = Literal["worker", "coordinator"]
"""Who completes multipart uploads: the worker that began or went on with one, or the coordinator alone."""


@dataclass(frozen=True, slots=True)
class UploadReady:
    """All parts of an upload were accepted, and the file is what was planned: only the completion is missing.

    ``size``, ``mtime_ns``, ``part_size``, ``crc64nvme`` and ``sent`` are those of FileDone; ``parts`` ascend.
    """

    number: int
    upload_id: str
    size: int
    mtime_ns: int
    part_size: int
    crc64nvme: str | None
    parts: tuple[KnownPart, ...]
    sent: int


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """An upload will not be completed; ``kind`` and ``error`` are as ``trouble.told`` makes them.

    From a worker that does not complete: the coordinator settles the file, and aborts the upload unless the next
    start can go on with it.
    """

    number: int
    upload_id: str
    kind: str
    error: str


UploadEnd = UploadReady | UploadFailed
"""How a worker ends an upload that the coordinator completes: nothing more happens to it there."""
