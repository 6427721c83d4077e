"""The folder of run logs: which log belongs to which run and destination.

The first log of a run folder's name is ``<run_id>.upload.log.json``, as the replaced tool wrote it. Another
run of that name, or the same run to another destination, has ``<run_id>.<8 hex digits>.upload.log.json``.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.journal import SUFFIX as JOURNAL_SUFFIX
from async_s3_upload.state.run_log import FileRecord, RunLog, UnreadableRunLog, read_run_log
from async_s3_upload.text import printable

UPLOADS = "uploads"
MANIFESTS = "manifests"
LOCKS = "locks"
SUFFIX = ".upload.log.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """A run folder and where it goes; two of them never share a log.

    ``run_path`` is absolute and normalised, ``remote_path`` is as configured.
    """

    run_path: str
    bucket: str
    remote_path: str

    @property
    def run_id(self) -> str:
        """Name of the run folder."""
        return os.path.basename(self.run_path)

    @property
    def digest(self) -> str:
        """Eight hex digits that tell logs of the same run id apart."""
        text = "\0".join((self.bucket, self.remote_path.strip("/"), self.run_path))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The log of one identity: where it is (or will be), what it holds, and what is wrong with it.

    ``log`` is None where nothing is remembered; ``problem`` names a torn log, of which nothing is known but
    that the run was begun. ``rivals`` are other folders of that name whose files went under the same keys.
    """

    path: str
    log: RunLog | None
    problem: str | None = None
    rivals: tuple[str, ...] = ()

    @property
    def journal(self) -> str:
        """Path of the journal beside the run log."""
        return self.path.removesuffix(SUFFIX) + JOURNAL_SUFFIX

    @property
    def lock(self) -> str:
        """Path of the file that one upload of this run and destination locks."""
        folder, name = os.path.split(self.path)
        return os.path.join(os.path.dirname(folder), LOCKS, name.removesuffix(SUFFIX) + ".lock")

    @property
    def manifest_folder(self) -> str:
        """Path of the folder in which the manifest of this run and destination is written."""
        folder, name = os.path.split(self.path)
        return os.path.join(os.path.dirname(folder), MANIFESTS, name.removesuffix(SUFFIX))


class _Recent:
    """The log that was read last, while nobody took it to change it.

    A command looks for the log of a run several times before it begins, and that of a million files takes seconds.
    """

    def __init__(self) -> None:
        self._log: RunLog | None = None
        self._mark: object = None

    def read(self, path: str) -> RunLog:
        """Read the log at ``path`` unless it is the one at hand, and still the same file."""
        mark = _mark_of(path)
        if self._log is None or mark is None or mark != self._mark:
            self._log = None  # first: two are twice the memory
            self._log, self._mark = read_run_log(path), mark
        return self._log

    def forget(self) -> None:
        """Read afresh the next time."""
        self._log = None


_recent = _Recent()


def take_over(log: RunLog) -> RunLog:
    """Return the log as the caller's own: what is changed in it is not what others find."""
    _recent.forget()
    return log


def _mark_of(path: str) -> object:
    """Return what tells a file from the one that replaces it: logs are replaced, never changed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class RunLogs:
    """Run logs in ``<log_dir>/uploads``; looks into the folder afresh at each call of ``find``."""

    def __init__(self, log_dir: str) -> None:
        self.folder = os.path.join(log_dir, UPLOADS)

    def find(self, identity: Identity) -> Remembered:
        """Find the log of a run and destination, without changing anything.

        Who wants to change what it holds has to ``take_over`` the log first, as ``recall`` does.

        Raises:
            LogDirError: the folder of run logs cannot be listed.
        """
        first = os.path.join(self.folder, printable(identity.run_id) + SUFFIX)
        own = f"{first[: -len(SUFFIX)]}.{identity.digest}{SUFFIX}"
        torn: Remembered | None = None
        taken = False
        rivals = []
        for path in self._logs_of(identity.run_id):
            taken = taken or path == first
            try:
                log = _recent.read(path)
            except UnreadableRunLog as error:
                if path in (first, own) and (torn is None or path == own):
                    torn = Remembered(path, None, str(error))
                continue
            if _is_of(log, identity):
                return Remembered(path, log)
            if _goes_to(log, identity) and os.path.isdir(log.run_path):
                rivals.append(log.run_path)
        return torn or Remembered(own if taken else first, None, rivals=tuple(rivals))

    def _logs_of(self, run_id: str) -> list[str]:
        """Paths of all logs of the name, the plain one first."""
        pattern = re.compile(re.escape(printable(run_id)) + r"(\.[0-9a-f]{8})?" + re.escape(SUFFIX))
        try:
            names = [name for name in os.listdir(self.folder) if pattern.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LogDirError(f"run logs in {self.folder} cannot be listed: {error.strerror or error}") from error
        return [os.path.join(self.folder, name) for name in sorted(names, key=lambda name: (len(name), name))]


def _is_of(log: RunLog, identity: Identity) -> bool:
    if not _goes_to(log, identity):
        return False
    return _same_folder(log.run_path, identity.run_path) or _was_remounted(log, identity.run_path)


def _goes_to(log: RunLog, identity: Identity) -> bool:
    """Whether the log is of the same destination; the replaced tool's logs name none and stand for any."""
    if log.bucket is not None and log.bucket != identity.bucket:
        return False
    return log.remote_path is None or log.remote_path.strip("/") == identity.remote_path.strip("/")


def _same_folder(recorded: str, other: str) -> bool:
    # a log holds paths as printable text
    return recorded == printable(other) or os.path.realpath(recorded) == os.path.realpath(other)


def _was_remounted(log: RunLog, run_path: str) -> bool:
    """The recorded place is gone and every recorded file lies in the folder: it is the same run, mounted elsewhere."""
    if not log.files or os.path.lexists(log.run_path):
        return False
    return all(not os.path.isabs(name) and os.path.lexists(os.path.join(run_path, name)) for name in log.files)


def changed_since(record: FileRecord, size: int, mtime_ns: int) -> bool:
    """Whether a file differs from what was recorded; logs of the replaced tool know neither size nor time."""
    return (record.size is not None and record.size != size) or (
        record.mtime_ns is not None and record.mtime_ns != mtime_ns
    )
