"""What can end a command, as one small tree of exceptions, each with its exit code.

A file that fails is no exception: it is a value (:class:`async_s3_upload.transfer.messages.FileOutcome`).
The text of each exception is one clear sentence for the person who reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

EXIT_CODES: dict[int, str] = {
    0: "done, or nothing to do",
    1: "fatal: AWS access, a bucket, the log folder, the Dask cluster, or a manifest that cannot be read",
    2: "usage or config error, or not a complete run",
    3: "some files or runs failed; they are tried again next time",
    4: "verify found objects that are missing or different",
    130: "stopped by SIGINT, state kept",
    143: "stopped by SIGTERM, state kept",
}
"""Every exit code of the program with its meaning; printed by ``--help``."""


DEBUG_VARIABLE = "ASYNC_S3_UPLOAD_DEBUG"
"""Set by ``--debug``: then tracebacks are shown."""


class UploadError(Exception):
    """Base of all errors that end a command; ``exit_code`` is the code of the process."""

    exit_code: ClassVar[int] = 1


class AwsAccessError(UploadError):
    """Credentials or buckets cannot be used: nothing (more) can be sent."""


class LogDirError(UploadError):
    """The log folder cannot be created or written: nothing is started without a memory."""


class LockLostError(LogDirError):
    """Another process may write to the log folder by now: this one must not any more."""

    exit_code = 3


class ManifestError(UploadError):
    """The manifest to verify by cannot be had, or is none."""


class WorkersError(UploadError):
    """The worker processes cannot be kept running."""


class ClusterError(UploadError):
    """The Dask cluster cannot be used: its scheduler does not answer, or none of its workers can work."""


class UsageError(UploadError):
    """The command was called with something that cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """The config file is unusable.

    ``problems`` holds one sentence for each fault, each with its place (``monitor[1].bucket: ...``).
    """

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{path}: {count} problem{'' if count == 1 else 's'} in the config"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


class NotACompleteRun(UsageError):
    """The folder given to ``upload`` is not a complete sequencing run."""


class Interrupted(UploadError):
    """SIGINT or SIGTERM ended the command after its state was kept."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        self.code = 128 + signal_number
        super().__init__(f"stopped by signal {signal_number}; the state is kept, the next start goes on")
