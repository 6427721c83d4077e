"""What crosses the pipe between coordinator and workers: small frozen values, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Checksum = Literal["crc64nvme", "none"]

FailureKind = Literal["file", "access_denied", "no_such_bucket", "bad_credentials", "request"]
"""Why a file failed: ``file`` is the local file's own trouble, ``request`` any other trouble with S3."""


@dataclass(frozen=True, slots=True)
class FileItem:
    """One file to send. ``number`` is unique within its job; ``size`` is in bytes, as planned."""

    number: int
    path: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Share:
    """A few files for one worker, all to the same bucket."""

    bucket: str
    items: tuple[FileItem, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Take no more work; let requests in flight end for ``grace_s`` seconds, then cancel them and leave."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file is in S3. ``size`` and ``mtime_ns`` are those of the bytes sent; ``crc64nvme`` is base64 or None."""

    number: int
    etag: str
    size: int
    mtime_ns: int
    crc64nvme: str | None


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file is not in S3, with the reason as a sentence for people."""

    number: int
    kind: FailureKind
    error: str


@dataclass(frozen=True, slots=True)
class BytesSent:
    """Bytes of parts that were accepted; those of a whole object come with its ``FileDone``."""

    count: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record of a worker's log, to be written by the coordinator's process."""

    level: int
    logger: str
    text: str


FileOutcome = FileDone | FileFailed
Event = FileDone | FileFailed | BytesSent | LogLine


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's store is open: it takes shares."""


@dataclass(frozen=True, slots=True)
class CannotStart:
    """The worker could not open its store; the command cannot go on."""

    error: str


@dataclass(frozen=True, slots=True)
class Events:
    """What happened since the last message, in order."""

    events: tuple[Event, ...]


ToWorker = Share | Stop
FromWorker = Ready | CannotStart | Events


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may do at a time.

    ``concurrency`` requests in flight, ``memory_bytes`` of file contents held; a request's time limit is
    ``request_base_s`` seconds plus its size at ``min_rate`` bytes a second.
    """

    concurrency: int = 16
    memory_bytes: int = 64 * 1024 * 1024
    request_base_s: float = 30.0
    min_rate: int = 128 * 1024
    attempts: int = 10
    checksum: Checksum = "crc64nvme"


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How to reach S3. None leaves a setting to the standard chain (environment, ~/.aws, instance role)."""

    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker process is told at its start."""

    access: AwsAccess
    limits: Limits
    log_level: int
