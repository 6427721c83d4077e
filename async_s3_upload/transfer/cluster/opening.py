"""What goes to a Dask worker besides the messages of every pool: how a session begins and ends, what is checked."""

from __future__ import annotations

from dataclasses import dataclass

from async_s3_upload.transfer.messages import WorkerSettings


@dataclass(frozen=True, slots=True)
class Opening:
    """A session of one command on one Dask worker.

    What it says goes to the events of ``topic``; what it is told comes through the queue ``mailbox``, and something
    comes at least every ``lease_s`` seconds: after a longer silence it ends by itself.
    """

    session: str
    topic: str
    mailbox: str
    lease_s: float
    settings: WorkerSettings


@dataclass(frozen=True, slots=True)
class Withdraw:
    """To a session: shares, by the numbers under which they were given, are not wanted of it if they have not come."""

    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """From a session: those of the shares that had not come; nothing is done of them here any more."""

    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bye:
    """From a session: it has ended, nothing more comes, and nothing is on its way to S3 any more."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of a run as the coordinator's machine sees it: size in bytes, mtime in ns, inode."""

    path: str
    size: int
    mtime_ns: int
    inode: int
