"""The JSON run log of one run to one destination.

The fields of the replaced tool come first and keep their meaning, ours follow:

``run_id``, ``run_path``, ``completed``, ``total_local_files``, ``total_uploaded_files``,
``total_failed_upload``, ``failed_upload_files`` (absolute paths), ``uploaded_files`` (absolute path -> ETag
without quotes), then ``bucket``, ``remote_path``, ``started_at``, ``updated_at``, ``completed_at``,
``failures`` (absolute path -> reason) and ``files`` (name relative to the run folder -> size in bytes,
mtime_ns, crc64nvme in base64, uploaded_at, and part_size of multipart objects), and ``exclude_patterns``.
Times are UTC in ISO 8601.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from async_s3_upload.text import printable

T = TypeVar("T")


class UnreadableRunLog(Exception):
    """The file is torn, or no run log; its text says which file and why."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file that is in S3. Logs of the replaced tool know the ETag only: the rest is None.

    ``part_size`` is that of a multipart object, None for others and in older logs.
    """

    etag: str
    size: int | None = None
    mtime_ns: int | None = None
    crc64nvme: str | None = None
    uploaded_at: str | None = None
    part_size: int | None = None


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
    files: dict[str, FileRecord] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    started_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    exclude_patterns: list[str] | None = None

    def finish(self, expected: Collection[str], failures: Mapping[str, str], now: str) -> None:
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

        Linear in the number of files and several times as fast as ``json.dump(indent=4)``.
        """
        failed = {printable(os.path.join(self.run_path, name)): why for name, why in self.failures.items()}
        head = {
            "run_id": printable(self.run_id),
            "run_path": printable(self.run_path),
            "completed": self.completed,
            "total_local_files": self.total_local_files,
            "total_uploaded_files": len(self.files),
            "total_failed_upload": len(failed),
            "failed_upload_files": list(failed),
        }
        yield json.dumps(head, indent=4)[:-2] + ",\n"
        yield from _entries("uploaded_files", ((self._path(name), file.etag) for name, file in self.files.items()))
        ours = {
            "bucket": self.bucket,
            "remote_path": self.remote_path,
            "started_at": self.started_at,
            "updated_at": self.updated_at,
            "completed_at": self.completed_at,
            "exclude_patterns": self.exclude_patterns,
            "failures": failed,
        }
        yield ",\n" + json.dumps(ours, indent=4)[2:-2] + ",\n"
        known = ((name, _details(file)) for name, file in self.files.items() if file.size is not None)
        yield from _entries("files", known)
        yield "\n}\n"

    def _path(self, name: str) -> str:
        return printable(os.path.join(self.run_path, name))


def _details(file: FileRecord) -> dict[str, Any]:
    details: dict[str, Any] = {
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "crc64nvme": file.crc64nvme,
        "uploaded_at": file.uploaded_at,
    }
    if file.part_size is not None:
        details["part_size"] = file.part_size
    return details


def _entries(key: str, items: Iterator[tuple[str, Any]]) -> Iterator[str]:
    yield f'    "{key}": {{'
    encode = json.JSONEncoder().encode
    separator = "\n"
    for name, value in items:
        yield f"{separator}        {encode(name)}: {encode(value)}"
        separator = ",\n"
    yield "\n    }" if separator != "\n" else "}"


def write_run_log(log: RunLog, path: str) -> None:
    """Replace the run log at ``path`` atomically and durably: readers see the old or the new one, never a part.

    Raises:
        OSError: the disk is full, read-only or gone; what was there before is untouched.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(log.as_text())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(os.path.dirname(path))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable; file systems that cannot (some network ones) are left alone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read_run_log(path: str) -> RunLog:
    """Read a run log, ours or one of the replaced tool.

    Raises:
        UnreadableRunLog: the file is torn, is no run log, or cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return _from_json(_typed(json.load(file), dict))
    except OSError as error:
        raise UnreadableRunLog(f"run log {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UnreadableRunLog(f"run log {path} is torn or no run log: {reason}") from error


def _from_json(data: dict[str, Any]) -> RunLog:
    run_path = _usable_path(os.path.normpath(_typed(data["run_path"], str)))
    details = _typed(data.get("files") or {}, dict)
    files = {}
    for path, etag in _typed(data["uploaded_files"], dict).items():
        name = _relative(path, run_path)
        detail = _typed(details.get(name, {}), dict)
        files[name] = FileRecord(
            _typed(etag, str).strip('"'),
            _optional(detail.get("size"), int),
            _optional(detail.get("mtime_ns"), int),
            _optional(detail.get("crc64nvme"), str),
            _optional(detail.get("uploaded_at"), str),
            _optional(detail.get("part_size"), int),
        )
    why = _typed(data.get("failures") or {}, dict)
    failed = _typed(data.get("failed_upload_files") or [], list)
    patterns = _optional(data.get("exclude_patterns"), list)
    return RunLog(
        run_id=_typed(data["run_id"], str),
        run_path=run_path,
        bucket=_optional(data.get("bucket"), str),
        remote_path=_optional(data.get("remote_path"), str),
        completed=_typed(data["completed"], bool),
        total_local_files=_typed(data.get("total_local_files", len(files)), int),
        files=files,
        failures={_relative(_typed(path, str), run_path): str(why.get(path, "failed before")) for path in failed},
        started_at=_optional(data.get("started_at"), str),
        updated_at=_optional(data.get("updated_at"), str),
        completed_at=_optional(data.get("completed_at"), str),
        exclude_patterns=None if patterns is None else [_typed(pattern, str) for pattern in patterns],
    )


def _typed(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} stands where {kind.__name__} is due")
    return value


def _optional(value: Any, kind: type[T]) -> T | None:
    return None if value is None else _typed(value, kind)


def _usable_path(path: str) -> str:
    os.fsencode(path)
    if "\0" in path:
        raise ValueError("run_path holds a NUL character")
    return path


def _relative(path: str, run_path: str) -> str:
    """Name of a file relative to its run folder; paths outside of it stay as they are."""
    if os.path.isabs(path):
        path = os.path.normpath(path)
        if path.startswith(run_path.rstrip("/") + "/"):
            return path[len(run_path.rstrip("/")) + 1 :]
        return path
    return os.path.normpath(path)
