"""What crosses the pipe between coordinator and workers: small frozen values, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal

from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.ending import Completes, UploadEnd
from async_s3_upload.transfer.lending import PartFailed, PartsQueued
from async_s3_upload.transfer.slowing import Halved, SlowDown

Checksum = Literal["crc64nvme", "none"]
Transport = Literal["lean", "aiobotocore"]
"""What carries the bytes of PUTs: connections of ours, or aiobotocore; all other requests are aiobotocore's."""

FailureKind = Literal[
    "file",
    "changed",
    "access_denied",
    "no_such_bucket",
    "bad_credentials",
    "request",
    "missing",
    "different",
    "unproved",
]
"""Why a file failed: ``file`` is the local file's own trouble, ``changed`` that it or its upload is no longer
what was planned (a new plan may succeed), ``request`` any other trouble with S3. Only a comparison ends with
``missing`` (no such object), ``different`` (other bytes) or ``unproved`` (S3 tells nothing that could be compared)."""

Mode = Literal["send", "probe", "compare"]
"""What is done with a file: sent; compared with the object that may be there already, and sent unless that
has the same bytes; or only compared, and never sent."""


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """Properties that objects are created with; None or empty: the bucket's defaults.

    ``tags`` and ``metadata`` are pairs of names and values.
    """

    storage_class: str | None = None
    server_side_encryption: str | None = None
    kms_key_id: str | None = None
    acl: str | None = None
    expected_bucket_owner: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part that S3 accepted before: ``size`` in bytes, ``crc64nvme`` in base64 or None."""

    number: int
    size: int
    etag: str
    crc64nvme: str | None


@dataclass(frozen=True, slots=True)
class KnownUpload:
    """A multipart upload that an earlier start began and did not end, of the file in the state given."""

    upload_id: str
    size: int
    mtime_ns: int
    inode: int
    part_size: int
    with_checksum: bool
    parts: tuple[KnownPart, ...] = ()


@dataclass(frozen=True, slots=True)
class FileItem:
    """One file to send. ``number`` is unique within its job.

    ``size`` (bytes), ``mtime_ns`` and ``inode`` are its state when it was planned; in any other state it is
    not sent. ``known`` is an upload to go on with. ``stray`` says that uploads of the key with unknown ids may
    exist. ``part_size`` is that of the object's parts, where it is remembered, for comparing.
    """

    number: int
    path: str
    key: str
    size: int
    mtime_ns: int
    inode: int
    known: KnownUpload | None = None
    stray: bool = False
    mode: Mode = "send"
    part_size: int | None = None


_ITEM_FIELDS = attrgetter(*(found.name for found in fields(FileItem)))


@dataclass(frozen=True, slots=True)
class Share:
    """A few files for one worker, all to the same bucket with the same settings.

    As several jobs may be under way, ``base`` is added to the numbers of the files on their way through the pipe.
    """

    bucket: str
    items: tuple[FileItem, ...]
    settings: ObjectSettings = ObjectSettings()
    base: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross the pipe as plain tuples: dataclasses cost several times as much."""
        rows = tuple(map(_ITEM_FIELDS, self.items))
        if self.base:
            rows = tuple((row[0] + self.base, *row[1:]) for row in rows)
        return _share_of, (self.bucket, rows, self.settings)


def _share_of(bucket: str, rows: tuple[Any, ...], settings: ObjectSettings) -> Share:
    return Share(bucket, tuple([FileItem(*row) for row in rows]), settings)


@dataclass(frozen=True, slots=True)
class Stop:
    """Take no more work; let requests in flight end for ``grace_s`` seconds, then cancel them and leave."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class BandwidthWanted:
    """A worker whose bytes wait asks to be lent some; ``back`` bytes of what it was lent before have lapsed."""

    back: float


@dataclass(frozen=True, slots=True)
class BandwidthGrant:
    """The answer: ``size`` bytes may go, out of ``rate`` bytes a second that are this worker's share.

    Both are None while nothing is limited.
    """

    size: int | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file is in S3. ``size`` and ``mtime_ns`` are those of the bytes sent; ``crc64nvme`` is base64 or None.

    ``sent`` are the bytes sent for it by this start; fewer than ``size`` where a part or all was there before.
    ``part_size`` is that of its parts, None where it is of one piece or was found there.
    """

    number: int
    etag: str
    size: int
    mtime_ns: int
    crc64nvme: str | None
    sent: int
    part_size: int | None = None


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file is not in S3, with the reason as a sentence for people."""

    number: int
    kind: FailureKind
    error: str


@dataclass(frozen=True, slots=True)
class UploadBegun:
    """A multipart upload exists from now on; it is of the planned state of the file."""

    number: int
    upload_id: str
    part_size: int
    with_checksum: bool


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part was accepted; ``size`` in bytes."""

    number: int
    upload_id: str
    part: KnownPart


@dataclass(frozen=True, slots=True)
class UploadGone:
    """A multipart upload was aborted, or found to exist no more."""

    number: int
    upload_id: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record of a worker's log, to be written by the coordinator's process."""

    level: int
    logger: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth remembering that is no file's outcome, as a sentence: a worker died."""

    text: str


FileOutcome = FileDone | FileFailed
TransferEvent = FileDone | FileFailed | UploadBegun | PartDone | UploadGone | Note
Event = TransferEvent | UploadEnd | LogLine | PartFailed | PartsQueued


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's store is open: it takes shares."""


@dataclass(frozen=True, slots=True)
class CannotStart:
    """The worker could not open its store; the command cannot go on."""

    error: str


@dataclass(frozen=True, slots=True)
class Events:
    """What happened since the last message, in order, as ``rows`` makes plain tuples of it."""

    rows: tuple[tuple[Any, ...], ...]


ToWorker = Share | Stop | BandwidthGrant | SlowDown
FromWorker = Ready | CannotStart | Events | Halved


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may do at a time.

    ``concurrency`` requests in flight, which may become ``most_concurrency`` where that brings more (0: it stays);
    ``memory_bytes`` of file contents held; parts of ``part_size`` bytes (0: 8 MiB) or more; a request's time limit is
    ``request_base_s`` seconds plus its size at ``min_rate`` bytes a second.
    """

    concurrency: int = 16
    most_concurrency: int = 0
    memory_bytes: int = 64 * 1024 * 1024
    part_size: int = 0
    request_base_s: float = 30.0
    min_rate: int = 128 * 1024
    attempts: int = 10
    checksum: Checksum = "crc64nvme"

    @property
    def most_at_a_time(self) -> int:
        """Most requests in flight there may ever be."""
        return max(self.concurrency, self.most_concurrency)


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How to reach S3. None leaves a setting to the standard chain (environment, ~/.aws, instance role)."""

    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    region: str | None = None
    use_accelerate_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    addressing_style: str | None = None
    transport: Transport = "lean"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker process is told at its start; ``bandwidth`` is None where it is never limited.

    ``completes`` says who completes multipart uploads. Where a worker may be cut off from the coordinator and go on
    for a while, that has to be the coordinator: it knows whose upload it is.
    """

    access: AwsAccess
    limits: Limits
    log_level: int
    bandwidth: Timetable | None = None
    completes: Completes = "worker"
