"""The JSON documents of ``status``; their keys are in docs/commands.md."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from async_s3_upload.state.overview import RunSummary
from async_s3_upload.state.rounds import Round
from async_s3_upload.text import printable

if TYPE_CHECKING:
    from async_s3_upload.cli.status.command import Status


def as_document(status: Status) -> str:
    """Return the document as text."""
    document = {
        "log_dir": printable(status.log_dir),
        "generated_at": _time(status.now),
        "runs": [_run(run) | (_more(status, run) if status.detailed else {}) for run in status.runs],
        "counts": status.counts,
        "last_round": None if status.last_round is None else _round(status.last_round),
        "problems": [printable(problem) for problem in status.problems],
        "exit_code": 0,
    }
    return json.dumps(document, indent=2)


def _run(run: RunSummary) -> dict[str, Any]:
    by = run.held_by
    return {
        "run_id": printable(run.run_id),
        "state": run.state,
        "next_step": run.next_step,
        "run_path": _text(run.run_path),
        "bucket": _text(run.bucket),
        "prefix": _text(run.prefix),
        "instrument": _text(run.instrument),
        "rule": _text(run.rule),
        "files_total": run.files_total,
        "files_done": run.files_done,
        "bytes_done": run.bytes_done,
        "failed": len(run.failures),
        "started_at": _time(run.started_at),
        "updated_at": _time(run.updated_at),
        "completed_at": _time(run.completed_at),
        "duration_s": run.duration_s,
        "rate": None if run.rate is None else round(run.rate),
        "journal_entries_ahead": run.journal_entries_ahead,
        "log_path": printable(run.log_path),
        "held_by": None if by is None else {"host": printable(by.host), "pid": by.pid},
    }


def _more(status: Status, run: RunSummary) -> dict[str, Any]:
    journal, manifests = run.journal_path, run.manifest_folder
    return {
        "journal_path": printable(journal) if os.path.exists(journal) else None,
        "manifest_folder": printable(manifests) if os.path.isdir(manifests) else None,
        "failed_files": [{"path": printable(path), "error": printable(why)} for path, why in run.failures.items()],
        "unfinished_files": [
            {"name": printable(file.name), "bytes": file.size, "bytes_done": file.done}
            for file in status.unfinished_of(run)
        ],
    }


def _round(done: Round) -> dict[str, Any]:
    return {
        "ended_at": _time(done.ended_at),
        "exit_code": done.exit_code,
        "seconds": done.seconds,
        "uploaded": done.uploaded,
        "failed": done.failed,
        "in_progress": done.in_progress,
        "skipped": done.skipped,
        "bytes_sent": done.bytes_sent,
        "problems": list(map(printable, done.problems)),
    }


def _text(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
