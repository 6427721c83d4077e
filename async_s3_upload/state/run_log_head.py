"""What a run log says of its run as a whole, read without the lines of its files.

The two big sections are in the middle: what stands before and behind them is read. A log of the replaced tool ends with
one. Others (laid out by a person, for one) are read wholly.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from async_s3_upload.state.records import as_records
from async_s3_upload.state.run_log import UnreadableRunLog, read_run_log
from async_s3_upload.state.run_log_entries import optional, seconds, typed

_HEAD_BYTES = 1 << 12
_TAIL_BYTES = 1 << 12
"""Head and tail are longer where files failed: of a million failures they have 200 MB."""
_BIG = b'\n    "uploaded_files": {'
_OURS = b'\n    "bucket": '
_LAST = b'\n    "uploaded_bytes": '
_TEXT = rb'"(?:[^"\\\n]|\\.)*"'
_OLD_END = re.compile(rb"\n(?: {8}%b: %b\n {4}\}| {4}\"uploaded_files\": \{\})\n\}\s*\Z" % (_TEXT, _TEXT))
"""How the replaced tool's logs end: an ETag, or no file at all."""


@dataclass(frozen=True, slots=True)
class RunLogHead:
    """The fields of a run log but for its files, as they stand there; None where it does not tell.

    ``uploaded_bytes`` counts files whose size is known. ``failures`` maps absolute paths to reasons.
    """

    run_id: str
    run_path: str
    completed: bool
    state: str
    total_local_files: int | None
    total_uploaded_files: int | None
    failures: dict[str, str]
    bucket: str | None = None
    remote_path: str | None = None
    started_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    instrument: str | None = None
    rule: str | None = None
    uploaded_bytes: int | None = None
    upload_seconds: float | None = None


def read_run_log_head(path: str) -> RunLogHead:
    """Read it; the cost depends on the number of failures, not on that of files.

    Damage in the midst of the lines of files is not seen.

    Raises:
        UnreadableRunLog: the file is torn, is no run log, or cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            tail = _tail(file)
            if tail is not None:
                return _from_json(_head(file) | tail)
    except OSError as error:
        raise UnreadableRunLog(f"run log {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # reading the whole tells what is wrong
    return _from_whole(path)


def _tail(file: BinaryIO) -> dict[str, Any] | None:
    """Return what stands behind the big sections, nothing in old logs; None where that cannot be told.

    Raises:
        ValueError: it is no JSON.
    """
    size = file.seek(0, os.SEEK_END)
    tail, wanted = b"", min(size, _TAIL_BYTES)
    while True:
        file.seek(size - wanted)
        tail = file.read(wanted - len(tail)) + tail
        cut = tail.rfind(_OURS)
        if cut >= 0:
            data: dict[str, Any] = json.loads((b"{" + tail[cut:]).decode())
            return data if "uploaded_bytes" in data else None
        if _OLD_END.search(tail):
            return {}
        if wanted == size or _LAST not in tail:
            return None
        wanted = min(size, 2 * wanted)


def _head(file: BinaryIO) -> dict[str, Any]:
    """Return what stands before the big sections.

    Raises:
        ValueError: it is no JSON.
    """
    file.seek(0)
    head = b""
    while piece := file.read(_HEAD_BYTES + len(head)):
        head += piece
        cut = head.find(_BIG, max(0, len(head) - len(piece) - len(_BIG)))
        if cut >= 0:
            return typed(json.loads((head[:cut].rstrip().removesuffix(b",") + b"}").decode()), dict)
    raise ValueError("there are no files")


def _from_json(data: dict[str, Any]) -> RunLogHead:
    failed = typed(data.get("failed_upload_files") or [], list)
    why = typed(data.get("failures") or {}, dict)
    completed = typed(data["completed"], bool)
    return RunLogHead(
        run_id=typed(data["run_id"], str),
        run_path=typed(data["run_path"], str),
        completed=completed,
        state=_state(completed, data.get("state")),
        total_local_files=optional(data.get("total_local_files"), int),
        total_uploaded_files=optional(data.get("total_uploaded_files"), int),
        failures={typed(path, str): str(why.get(path, "failed before")) for path in failed},
        bucket=optional(data.get("bucket"), str),
        remote_path=optional(data.get("remote_path"), str),
        started_at=optional(data.get("started_at"), str),
        updated_at=optional(data.get("updated_at"), str),
        completed_at=optional(data.get("completed_at"), str),
        instrument=optional(data.get("instrument"), str),
        rule=optional(data.get("rule"), str),
        uploaded_bytes=optional(data.get("uploaded_bytes"), int),
        upload_seconds=seconds(data.get("upload_seconds")),
    )


def _state(completed: bool, said: object) -> str:
    return "completed" if completed else "in_progress" if said == "in_progress" else "partial"


def _from_whole(path: str) -> RunLogHead:
    log = read_run_log(path)
    return RunLogHead(
        run_id=log.run_id,
        run_path=log.run_path,
        completed=log.completed,
        state=log.state,
        total_local_files=log.total_local_files,
        total_uploaded_files=len(log.files),
        failures={os.path.join(log.run_path, name): reason for name, reason in log.failures.items()},
        bucket=log.bucket,
        remote_path=log.remote_path,
        started_at=log.started_at,
        updated_at=log.updated_at,
        completed_at=log.completed_at,
        instrument=log.instrument,
        rule=log.rule,
        uploaded_bytes=None if log.bucket is None else as_records(log.files).total_bytes,
        upload_seconds=log.upload_seconds,
    )
