"""All runs that a log folder remembers, each in a few figures: for ``status``, the report page and the metrics.

Run logs, journals and locks are looked at, and nothing else; nothing is written, and a monitor may run meanwhile. What
vanishes or is torn is a sentence and no error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from async_s3_upload.state.journal_tail import JournalTail, read_tail
from async_s3_upload.state.known_runs import KnownRun, known_runs
from async_s3_upload.state.lock import holder_of, is_held
from async_s3_upload.state.next_step import next_step
from async_s3_upload.state.run_log import UnreadableRunLog
from async_s3_upload.state.run_log_head import RunLogHead, read_run_log_head
from async_s3_upload.state.run_logs import Remembered
from async_s3_upload.state.this_host import Process

State = Literal["completed", "partial", "in_progress", "uploading", "damaged"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run to one destination; None is what nobody knows (logs of the replaced tool have no times and sizes).

    ``state``: ``uploading`` while a process holds its lock, ``in_progress`` where the instrument still wrote it when it
    was last uploaded, ``damaged`` where its run log cannot be read. ``prefix`` is the start of its keys.
    ``files_done`` and ``bytes_done`` hold what the journal has ahead of the run log (``journal_entries_ahead`` files);
    they are of whole files. ``duration_s`` is the time that all attempts took, where the log does not tell it the time
    from the first one to the end; ``rate``, bytes a second, is by it. ``updated_at`` is when anything was last written.
    ``failures`` maps absolute paths to the reasons of the last attempt. ``held_by`` is the process that uploads it,
    where that is known.
    """

    run_id: str
    state: State
    next_step: str
    log_path: str
    journal_path: str
    manifest_folder: str
    run_path: str | None = None
    bucket: str | None = None
    prefix: str | None = None
    instrument: str | None = None
    rule: str | None = None
    files_total: int | None = None
    files_done: int | None = None
    bytes_done: int | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    duration_s: float | None = None
    rate: float | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    journal_entries_ahead: int = 0
    held_by: Process | None = None

    @property
    def when(self) -> datetime | None:
        """When it was completed, else when anything was last written."""
        return self.completed_at or self.updated_at


@dataclass(frozen=True, slots=True)
class Overview:
    """The runs, what was touched last at the end, and sentences about what could not be read."""

    runs: tuple[RunSummary, ...]
    problems: tuple[str, ...] = ()


def overview(log_dir: str, now: datetime, touched_since: float | None = None) -> Overview:
    """Look at all runs, or at those whose log or journal was written since then (seconds since the epoch).

    Raises:
        LogDirError: the folder of run logs cannot be listed.
    """
    runs: list[tuple[float, RunSummary]] = []
    problems: list[str] = []
    for known in known_runs(log_dir):
        if touched_since is None or known.touched >= touched_since:
            found = _summary(known, now, problems)
            if found is not None:
                runs.append((known.touched if found.when is None else found.when.timestamp(), found))
    runs.sort(key=lambda pair: (pair[0], pair[1].run_id))
    return Overview(tuple(run for _, run in runs), tuple(problems))


def _summary(known: KnownRun, now: datetime, problems: list[str]) -> RunSummary | None:
    remembered = Remembered(known.path, None)
    has_journal = os.path.exists(remembered.journal)
    held = has_journal and is_held(remembered.lock)  # before the log is read: it may be completed in between
    tail = JournalTail()
    try:
        head = read_run_log_head(known.path)
        if has_journal:
            try:
                tail = read_tail(remembered.journal, head.updated_at)
            except FileNotFoundError:  # its upload ended just now, and wrote a last run log before
                held, head = False, read_run_log_head(known.path)
            except OSError as error:
                problems.append(f"journal {remembered.journal} cannot be read: {error.strerror or error}")
    except UnreadableRunLog as error:
        if not os.path.exists(known.path) and not os.path.exists(remembered.journal):
            problems.append(f"run log {known.path} was moved away while it was to be read")
            return None
        problems.append(str(error))
        return _damaged(known, remembered)
    if tail.damaged:
        problems.append(f"journal {remembered.journal} is damaged; the next start asks S3 what is there")
    summary = _healthy(head, tail, held and not head.completed, remembered, now)
    return replace(summary, held_by=holder_of(remembered.lock)) if summary.state == "uploading" else summary


def _damaged(known: KnownRun, remembered: Remembered) -> RunSummary:
    return RunSummary(
        run_id=known.run_ids[-1],
        state="damaged",
        next_step=next_step("damaged"),
        log_path=remembered.path,
        journal_path=remembered.journal,
        manifest_folder=remembered.manifest_folder,
        updated_at=datetime.fromtimestamp(known.touched, UTC) if known.touched else None,
    )


def _healthy(head: RunLogHead, tail: JournalTail, held: bool, remembered: Remembered, now: datetime) -> RunSummary:
    state: State = "uploading" if held else _STATES[head.state]
    started, updated, completed = map(_time, (head.started_at, head.updated_at, head.completed_at))
    done = head.uploaded_bytes
    if done is not None or tail.files:
        done = (done or 0) + tail.bytes
    duration = _duration(head, held, started, completed or updated, now)
    return RunSummary(
        run_id=head.run_id,
        state=state,
        next_step=next_step(state, failed=len(head.failures), since=updated, now=now),
        log_path=remembered.path,
        journal_path=remembered.journal,
        manifest_folder=remembered.manifest_folder,
        run_path=head.run_path,
        bucket=head.bucket,
        prefix=_prefix(head),
        instrument=head.instrument,
        rule=head.rule,
        files_total=head.total_local_files,
        files_done=_added(head, tail),
        bytes_done=done,
        started_at=started,
        updated_at=updated,
        completed_at=completed,
        duration_s=duration,
        rate=done / duration if done and duration else None,
        failures=head.failures,
        journal_entries_ahead=tail.files,
    )


_STATES: Mapping[str, State] = {"completed": "completed", "in_progress": "in_progress", "partial": "partial"}


def _added(head: RunLogHead, tail: JournalTail) -> int | None:
    """Files done: one that is sent again stands in both, and no more than all can be done."""
    if head.total_uploaded_files is None:
        return None
    return max(head.total_uploaded_files, min(head.total_uploaded_files + tail.files, head.total_local_files or 0))


def _prefix(head: RunLogHead) -> str | None:
    return None if head.remote_path is None else f"{head.remote_path.strip('/')}/{head.run_id}".lstrip("/")


def _duration(
    head: RunLogHead, held: bool, started: datetime | None, ended: datetime | None, now: datetime
) -> float | None:
    if head.upload_seconds is not None:
        return head.upload_seconds
    end = now if held else ended
    return None if started is None or end is None else max(0.0, (end - started).total_seconds())


def _time(text: str | None) -> datetime | None:
    """Return a time of a run log; None where it is no time."""
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
