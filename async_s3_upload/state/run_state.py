"""What is remembered of one run while it is uploaded: its run log and its journal as one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.holding import require_held
from async_s3_upload.state.journal import CorruptJournal, OpenUpload, PartRecord, Replayed, file_line, replay
from async_s3_upload.state.journal_writer import JournalWriter, append_line, read_lines
from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log, writing_run_log
from async_s3_upload.state.run_logs import Identity, Remembered, take_over


@dataclass(slots=True)
class Recalled:
    """What is on disk about a run, read without changing anything.

    ``problems`` names what is damaged; then ``uncertain`` is set: S3 may hold more than is known here, and has
    to be asked.
    """

    log: RunLog
    uploads: dict[str, OpenUpload] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    damaged_files: list[str] = field(default_factory=list)

    @property
    def uncertain(self) -> bool:
        """Whether something was lost."""
        return bool(self.problems)


def recall(identity: Identity, remembered: Remembered) -> Recalled:
    """Join the run log with its journal; a new run gives an empty log.

    Raises:
        LogDirError: the journal cannot be read.
    """
    recalled = Recalled(take_over(remembered.log or RunLog(identity.run_id, identity.run_path)))
    if remembered.problem is not None:
        recalled.problems.append(remembered.problem)
        recalled.damaged_files.append(remembered.path)
    try:
        replayed = replay(read_lines(remembered.journal), remembered.journal)
        _add(recalled, replayed)
        if replayed.ask:
            recalled.problems.append(
                f"{remembered.journal}: a start before this one found damage and did not end; S3 is asked what is there"
            )
    except CorruptJournal as error:
        recalled.problems.append(f"{error}; S3 is asked what is there instead")
        recalled.damaged_files.append(remembered.journal)
    except OSError as error:
        raise LogDirError(f"journal {remembered.journal} cannot be read: {error.strerror or error}") from error
    return recalled


def _add(recalled: Recalled, replayed: Replayed) -> None:
    for name in replayed.dropped:
        recalled.log.files.pop(name, None)
    recalled.log.files.update(replayed.files)
    recalled.uploads = replayed.uploads
    recalled.planned = replayed.planned


class RunState:
    """The run log and the journal of one run, open for changes; one process at a time.

    Every change is in memory at once, in the journal after ``flush``, on the disk after ``sync``. All methods
    that write raise LogDirError where they cannot; what was written before is intact then.
    """

    def __init__(self, recalled: Recalled, remembered: Remembered, identity: Identity, now: str) -> None:
        """Take over what is remembered, for this folder and destination; damaged files are put aside."""
        self.log = recalled.log
        self.uploads = recalled.uploads
        self.planned = recalled.planned
        self._path = remembered.path
        self._began, self._seconds_before = time.monotonic(), recalled.log.upload_seconds or 0.0
        log = self.log
        log.run_path, log.bucket, log.remote_path = identity.run_path, identity.bucket, identity.remote_path
        log.completed = False
        log.started_at = log.started_at or now
        log.updated_at = now
        with _log_dir_trouble(self._path):
            self._ask = recalled.uncertain
            if self._ask:
                append_line(remembered.journal, {"t": "ask"})  # first: a start that is killed must not forget it
            for path in recalled.damaged_files:
                _keep_aside(path)
            for path in (self._path, remembered.journal):
                _remove_unfinished(path)
            # first the log, which holds what the journal told, then the journal anew
            write_run_log(log, self._path)
            self._journal = JournalWriter(remembered.journal, self._carried())

    def _carried(self) -> Iterator[dict[str, Any]]:
        if self._ask:
            yield {"t": "ask"}
        for name, key in self.planned.items():
            yield {"t": "plan", "n": name, "k": key}
        for name, upload in self.uploads.items():
            yield _open_event(name, upload)
            for part in upload.parts.values():
                yield _part_event(name, upload.upload_id, part)

    def record(self, name: str, file: FileRecord) -> None:
        """Note that a file is in S3."""
        self.log.files[name] = file
        self.uploads.pop(name, None)
        self.planned.pop(name, None)
        self._journal.add_line(file_line(name, file))

    def drop(self, name: str) -> None:
        """Note that what is recorded of a file holds no more."""
        if self.log.files.pop(name, None) is not None:
            self._journal.add({"t": "drop", "n": name})

    def plan(self, keys: Mapping[str, str]) -> None:
        """Note the intention to begin multipart uploads: file name -> key. Written before any can begin."""
        for name, key in keys.items():
            if name not in self.planned:
                self.planned[name] = key
                self._journal.add({"t": "plan", "n": name, "k": key})

    def upload_begun(self, name: str, upload: OpenUpload) -> None:
        """Note that a multipart upload exists."""
        self.uploads[name] = upload
        self._journal.add(_open_event(name, upload))

    def part_done(self, name: str, upload_id: str, part: PartRecord) -> None:
        """Note a part that S3 accepted."""
        upload = self.uploads.get(name)
        if upload is not None and upload.upload_id == upload_id:
            upload.parts[part.number] = part
            self._journal.add(_part_event(name, upload_id, part))

    def upload_gone(self, name: str, upload_id: str) -> None:
        """Note that a multipart upload exists no more."""
        upload = self.uploads.get(name)
        if upload is not None and upload.upload_id == upload_id:
            del self.uploads[name]
            self._journal.add({"t": "gone", "n": name, "u": upload_id})

    def note(self, text: str) -> None:
        """Write a sentence for people into the journal."""
        self._journal.add({"t": "note", "text": text})

    def flush(self) -> None:
        """Write the changes: they outlive this process from then on."""
        with _log_dir_trouble(self._journal.path):
            self._journal.flush()

    def sync_due(self) -> bool:
        """Tell whether ``sync`` should be called."""
        return self._journal.due()

    def sync(self) -> None:
        """Make the changes outlive a crash of the machine; blocks, may be called from a thread."""
        with _log_dir_trouble(self._journal.path):
            self._journal.sync()

    def _note_seconds(self) -> None:
        self.log.upload_seconds = round(self._seconds_before + time.monotonic() - self._began, 1)

    def snapshot(self, now: str) -> Generator[None, None, None]:
        """Replace the run log, in steps between which changes may be made; it is written as it was at the first.

        The journal goes on, reading both gives the same state.
        """
        self._note_seconds()
        self.log.updated_at = now
        with _log_dir_trouble(self._path):
            yield from writing_run_log(self.log, self._path)

    def finish(self, expected: Iterable[str], failures: Mapping[str, str], now: str) -> None:
        """Note the end of the attempt and close; the journal goes where it has nothing to tell any more."""
        self._note_seconds()
        self.log.finish(expected, failures, now)
        with _log_dir_trouble(self._path):
            self._journal.flush()
            write_run_log(self.log, self._path)
            told_all = not self.uploads and not self.planned and (self.log.completed or not self._ask)
            self._journal.close(remove=told_all)


def _keep_aside(path: str) -> None:
    """Keep a copy of a damaged file, which stays until it is replaced."""
    copy = path + ".damaged"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(copy)
    try:
        os.link(path, copy)
    except OSError:  # not every network file system can
        shutil.copyfile(path, copy)


def _remove_unfinished(path: str) -> None:
    """Remove what a process that was killed had written of a file that was to replace this one.

    Nobody writes it now: the caller holds the lock of the run.
    """
    folder, name = os.path.split(path)
    unfinished = re.compile(re.escape(name) + r"\.\d+\.tmp")
    for found in os.listdir(folder):
        if unfinished.fullmatch(found):
            os.unlink(os.path.join(folder, found))


class _log_dir_trouble:  # noqa: N801 - reads as a with-statement
    """Raise LogDirError for an OSError of the block, and LockLostError instead of beginning it without the lock."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Make sure that nobody else writes here."""
        require_held()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        if isinstance(error, OSError):
            raise LogDirError(f"{self._path} cannot be written: {error.strerror or error}") from error


def _open_event(name: str, upload: OpenUpload) -> dict[str, Any]:
    return {
        "t": "open",
        "n": name,
        "k": upload.key,
        "u": upload.upload_id,
        "s": upload.size,
        "m": upload.mtime_ns,
        "i": upload.inode,
        "p": upload.part_size,
        "x": upload.with_checksum,
    }


def _part_event(name: str, upload_id: str, part: PartRecord) -> dict[str, Any]:
    return {
        "t": "part",
        "n": name,
        "u": upload_id,
        "p": part.number,
        "s": part.size,
        "e": part.etag,
        "c": part.crc64nvme,
    }
