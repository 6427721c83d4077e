"""What is said when a cluster, or one of its workers, cannot be used: one sentence each."""

from __future__ import annotations

from async_s3_upload.text import printable


def cannot_be_used(worker: str, why: str) -> str:
    """Return the sentence for a worker (its address) that gets no work; ``why`` is one of the following."""
    return f"worker {worker} cannot be used: {why}"


def does_not_see(path: str, reason: str) -> str:
    """Return why: the run folder is not there, or cannot be read there."""
    return f"it does not see {printable(path)} ({reason}); mount the folder at the same path, readable for its user"


def sees_another_size(path: str) -> str:
    """Return why: what lies there is another file, or an old state of this one."""
    return f"it sees another size of {printable(path)}; look whether the same storage is mounted there"


def has_another_version(theirs: str | None, ours: str) -> str:
    """Return why: the package there is another one, or not installed (None)."""
    found = f"has async-s3-upload {theirs}" if theirs else "has no async-s3-upload"
    return f"it {found}, this is {ours}: install the same version"


def finds_no_credentials(reason: str) -> str:
    """Return why: keys do not travel, each worker resolves its own."""
    return f"it finds no AWS credentials: {reason}"


def no_worker(scheduler: str) -> str:
    """Return the sentence for a scheduler that has none."""
    return f"the Dask scheduler at {scheduler} has no worker that can be used: start some (dask worker)"


def no_answer(scheduler: str, limit_s: float, reason: str) -> str:
    """Return the sentence for a scheduler that cannot be reached at the start."""
    return f"the Dask scheduler at {scheduler} does not answer within {limit_s:.0f} s: {printable(reason)}"


def no_certificates(scheduler: str) -> str:
    """Return the sentence for a scheduler at a ``tls://`` address where Dask's configuration names no certificate."""
    return (
        f"the Dask scheduler at {scheduler} wants TLS: name CA, certificate and key in Dask's configuration "
        "(DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT, ..._TLS__CLIENT__KEY)"
    )


def scheduler_lost(reason: str) -> str:
    """Return the reason why a command ends whose scheduler was there and is not any more."""
    return f"the Dask scheduler was lost: {printable(reason)}"


def sees_another_inode(path: str) -> str:
    """Return why: a copy of the folder lies there, or a file system that numbers files anew on each host."""
    return f"it sees another inode of {printable(path)}; mount the same storage there (SMB: with serverino)"


def cannot_open(reason: str) -> str:
    """Return why: the worker's S3 client cannot be made, or Dask could not run anything there."""
    return f"it cannot begin: {printable(reason)}"


def worker_lost(worker: str, files: int) -> str:
    """Return the sentence for a worker that left, died, or was cut off."""
    if not files:
        return f"worker {worker} is gone, it had nothing in hand"
    return f"worker {worker} is gone with {files} files in hand, they are tried again"
