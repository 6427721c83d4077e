"""Which runs there are, and why each does or does not go up: as ``monitor`` decides, without a look at the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from async_s3_upload.cli.survey import Survey
from async_s3_upload.delivery.row import WORDS, RunRow
from async_s3_upload.delivery.uploading import RunTask
from async_s3_upload.runs.selection import Reason
from async_s3_upload.text import plural, printable

HISTORY: Sequence[Reason] = ("already_uploaded", "too_old", "run_does_not_match", "instrument_does_not_match")
"""Reasons of runs that are only counted: a storage holds years of them."""


def rows_of(found: Survey) -> list[RunRow]:
    """Return a row for each run and destination, those that would go up first."""
    return [_wanted(task) for task in found.tasks + found.running] + found.skipped


def _wanted(task: RunTask) -> RunRow:
    row = task.row()
    row.state = "would_resume" if task.reason == "partial" else "would_upload"
    return row


def run_lines(rows: Sequence[RunRow]) -> list[str]:
    """Return what is to be said of them: a line for each, except for those that are history."""
    if not rows:
        return ["runs: none was found"]
    wanted = [row for row in rows if row.state != "skipped"]
    left = [row for row in rows if row.state == "skipped" and row.reason not in HISTORY]
    history = Counter(row.reason for row in rows if row.state == "skipped" and row.reason in HISTORY)
    lines = [f"runs: {plural(len(wanted), 'run')} would go up, {plural(len(rows) - len(wanted), 'run')} would not"]
    lines += [f"  would go up: {_told(row)} -> s3://{row.bucket}/{row.prefix}/" for row in wanted]
    lines += [f"  left: {_told(row)}" for row in left]
    lines += [f"  left: {plural(count, 'run')}, {WORDS[reason]}" for reason, count in history.items()]
    return [*map(printable, lines), "  (`monitor --dry-run` names every run, and what would be sent of it)"]


def _told(row: RunRow) -> str:
    shown = f"; {row.rule}" if row.rule and row.reason in ("not_complete", "failed_on_instrument") else ""
    return f"{row.run_path} ({WORDS[row.reason]}: {row.detail}{shown})"
