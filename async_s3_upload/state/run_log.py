"""The JSON run log of one run to one destination.

The fields of the replaced tool come first and keep their meaning, ours follow:

``run_id``, ``run_path``, ``completed``, ``total_local_files``, ``total_uploaded_files``,
``total_failed_upload``, ``failed_upload_files`` (absolute paths), ``uploaded_files`` (absolute path -> ETag
without quotes), then ``files`` (name relative to the run folder -> size in bytes, mtime_ns, crc64nvme in base64,
uploaded_at, and part_size of multipart objects), ``bucket``, ``remote_path``, ``started_at``, ``updated_at``,
``completed_at``, ``exclude_patterns``, ``state`` (``completed``, ``partial``, or ``in_progress`` while the instrument
writes the run), ``instrument``, ``rule``, ``failures`` (absolute path -> reason), ``uploaded_bytes`` (of the files
whose size is known) and ``upload_seconds`` (the time that all attempts took together). Times are UTC in ISO 8601. The
two big ones are in the middle: all else is read from both ends (``run_log_head``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from async_s3_upload.state.records import FileRecord, Records, as_records
from async_s3_upload.state.replacing import replacing
from async_s3_upload.state.run_log_entries import Entries, optional, relative, seconds, typed, usable_path
from async_s3_upload.state.run_log_lines import detail_lines, etag_lines, is_cut_off, read_by_lines, section
from async_s3_upload.text import printable

__all__ = ["FileRecord", "RunLog", "UnreadableRunLog", "read_run_log", "write_run_log", "writing_run_log"]

STEP_CHARACTERS = 1 << 18
"""About so much of a log is written in one step: some milliseconds."""


class UnreadableRunLog(Exception):
    """The file is torn, or no run log; its text says which file and why."""


@dataclass(slots=True)
class RunLog:
    """What is remembered of one run. ``files`` is keyed by the name relative to the run folder.

    ``bucket`` and ``remote_path`` are None in logs of the replaced tool, which did not write them, and so are
    ``exclude_patterns`` there and in older logs.
    """

    run_id: str
    run_path: str
    bucket: str | None = None
    remote_path: str | None = None
    completed: bool = False
    total_local_files: int = 0
    files: MutableMapping[str, FileRecord] = field(default_factory=Records)
    failures: dict[str, str] = field(default_factory=dict)
    started_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    exclude_patterns: list[str] | None = None
    in_progress: bool = False
    """Whether the run was still being written when it was last uploaded; its markers are not there then."""
    instrument: str | None = None
    """The platform that wrote the run, with the version of its software where it is known."""
    rule: str | None = None
    """What decided that the run is, or is not, complete."""
    upload_seconds: float | None = None
    """How long all attempts took together; None in logs that do not tell."""

    @property
    def state(self) -> str:
        """Return ``completed``, ``in_progress`` or ``partial``."""
        return "completed" if self.completed else "in_progress" if self.in_progress else "partial"

    def finish(self, expected: Iterable[str], failures: Mapping[str, str], now: str) -> None:
        """Note the outcome of an attempt.

        ``expected`` are the names of everything that belongs to the run; it is completed when each of them
        is recorded and nothing failed: a comparison of sets, not of counts.
        """
        self.failures = dict(failures)
        self.completed = not failures and all(name in self.files for name in expected)
        self.updated_at = now
        self.completed_at = now if self.completed else None

    def as_text(self) -> Iterator[str]:
        """Yield the JSON document in pieces: one entry a line, so that people can read and grep it.

        Linear in the number of files; it is the log as it was when the first piece was taken.
        """
        failed = {printable(os.path.join(self.run_path, name)): why for name, why in self.failures.items()}
        records = as_records(self.files)
        folders = records.folders()
        head = {
            "run_id": printable(self.run_id),
            "run_path": printable(self.run_path),
            "completed": self.completed,
            "total_local_files": self.total_local_files,
            "total_uploaded_files": len(self.files),
            "total_failed_upload": len(failed),
            "failed_upload_files": list(failed),
        }
        ours = {
            "bucket": self.bucket,
            "remote_path": self.remote_path,
            "started_at": self.started_at,
            "updated_at": self.updated_at,
            "completed_at": self.completed_at,
            "exclude_patterns": self.exclude_patterns,
            "state": self.state,
            "instrument": self.instrument,
            "rule": self.rule,
            "failures": failed,
            "uploaded_bytes": records.total_bytes,
            "upload_seconds": self.upload_seconds,
        }
        yield json.dumps(head, indent=4)[:-2] + ",\n"
        yield from section("uploaded_files", etag_lines(folders, self.run_path))
        yield ",\n"
        yield from section("files", detail_lines(folders))
        yield ",\n" + json.dumps(ours, indent=4)[2:] + "\n"


def write_run_log(log: RunLog, path: str) -> None:
    """Replace the run log at ``path`` atomically and durably: readers see the old or the new one, never a part.

    Raises:
        OSError: the disk is full, read-only or gone; what was there before is untouched.
    """
    for _ in writing_run_log(log, path):
        pass


def writing_run_log(log: RunLog, path: str) -> Iterator[None]:
    """Do the same in steps, between which other work may be done, and the log may change: it is written as it was.

    Only when the steps are exhausted the log is replaced; closed before, they leave the old one.
    """
    with replacing(path) as file:
        written = 0
        for piece in log.as_text():
            written += file.write(piece.encode())
            if written >= STEP_CHARACTERS:
                written = 0
                yield


def read_run_log(path: str) -> RunLog:
    """Read a run log, ours or one of the replaced tool.

    Raises:
        UnreadableRunLog: the file is torn, is no run log, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if is_cut_off(file):
                raise ValueError("its end is missing")
            try:
                return _read_by_lines(file)
            except (ValueError, KeyError, TypeError, RecursionError):
                # laid out otherwise, by a person or another program; or damaged: then this tells where
                file.seek(0)
                return _read_whole(file)
    except OSError as error:
        raise UnreadableRunLog(f"run log {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UnreadableRunLog(f"run log {path} is torn or no run log: {reason}") from error


def _read_by_lines(file: BinaryIO) -> RunLog:
    entries = Entries()
    data = read_by_lines(file, entries)
    run_path = usable_path(data["run_path"])
    if data["uploaded_files"] != {} or data.get("files") or not entries.is_in(run_path):
        raise ValueError("the entries have no lines of their own")
    return _from_json(data, entries.records, run_path)


def _read_whole(file: BinaryIO) -> RunLog:
    data = typed(json.loads(file.read().decode()), dict)
    entries = Entries()
    entries.begin(data["run_path"])
    entries.uploaded(typed(data["uploaded_files"], dict))
    entries.details(typed(data.get("files") or {}, dict))
    return _from_json(data, entries.records, usable_path(data["run_path"]))


def _from_json(data: dict[str, Any], files: Records, run_path: str) -> RunLog:
    why = typed(data.get("failures") or {}, dict)
    failed = typed(data.get("failed_upload_files") or [], list)
    patterns = optional(data.get("exclude_patterns"), list)
    return RunLog(
        run_id=typed(data["run_id"], str),
        run_path=run_path,
        bucket=optional(data.get("bucket"), str),
        remote_path=optional(data.get("remote_path"), str),
        completed=typed(data["completed"], bool),
        total_local_files=typed(data.get("total_local_files", len(files)), int),
        files=files,
        failures={relative(typed(path, str), run_path): str(why.get(path, "failed before")) for path in failed},
        started_at=optional(data.get("started_at"), str),
        updated_at=optional(data.get("updated_at"), str),
        completed_at=optional(data.get("completed_at"), str),
        exclude_patterns=None if patterns is None else [typed(pattern, str) for pattern in patterns],
        in_progress=data.get("state") == "in_progress",
        instrument=optional(data.get("instrument"), str),
        rule=optional(data.get("rule"), str),
        upload_seconds=seconds(data.get("upload_seconds")),
    )
