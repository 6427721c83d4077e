"""``report``: the page about all runs that a log folder remembers; ``monitor`` writes one after each round."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime

from async_s3_upload.errors import UsageError
from async_s3_upload.notify.page import PageRound, PageRun, page_of
from async_s3_upload.notify.page_html import page_html
from async_s3_upload.runs.instrument import UNKNOWN, Hints, instrument_of
from async_s3_upload.state.overview import RunSummary, overview
from async_s3_upload.state.replacing import replacing
from async_s3_upload.state.rounds import read_rounds

_OTHER_SERIALS = re.compile(r"AV\d{4,}|MN\d{4,}|r\d{5}[A-Za-z]?", re.ASCII)
"""Of instruments that are not Illumina's, in their run ids: Element AVITI, MinION, PacBio."""
_VERSION = re.compile(r" (HD )?\d+(\.\d+)+.*", re.ASCII)


def write_report_page(log_dir: str, path: str) -> int:
    """Write the page about all runs of a log folder and return how many there are; ``path`` is replaced atomically.

    Raises:
        UsageError: the page cannot be written there, or there is no such log folder.
        LogDirError: the run logs cannot be listed.
    """
    if not os.path.isdir(log_dir):
        raise UsageError(f"there is no log folder {log_dir}: nothing was uploaded with it yet, or name another one")
    now = time.time()
    found = overview(log_dir, datetime.fromtimestamp(now, UTC))
    rounds = read_rounds(log_dir, most=1)
    last = None
    if rounds.rounds:
        done = rounds.rounds[-1]
        last = PageRound(done.ended_at.timestamp(), done.exit_code, done.uploaded, done.failed, done.problems)
    notes = [*found.problems, *([rounds.problem] if rounds.problem else [])]
    page = page_of(map(page_run, found.runs), last, log_dir, now, notes)
    try:
        folder, name = os.path.split(os.path.abspath(path))
        # hidden: a web server may serve the folder
        with replacing(path, temporary=os.path.join(folder, f".{name}.{os.getpid()}.tmp")) as file:
            file.write(page_html(page).encode())
    except OSError as error:
        raise UsageError(f"the report page {path} cannot be written: {error.strerror or error}") from error
    return len(found.runs)


def page_run(run: RunSummary) -> PageRun:
    """Return a run as the page takes it; names of files are relative to its folder."""
    when = run.when
    bucket = run.bucket or "unknown bucket"
    return PageRun(
        run_id=run.run_id,
        sequencer=_sequencer(run),
        state=run.state,
        files=run.files_done,
        total=run.files_total,
        bytes=run.bytes_done,
        started_at=None if run.started_at is None else run.started_at.timestamp(),
        ended_at=None if when is None else when.timestamp(),
        seconds=run.duration_s,
        rate=run.rate,
        failures=[(_name_in(run, path), why) for path, why in run.failures.items()],
        next_step="" if run.state == "completed" else run.next_step,
        destination=bucket if run.prefix is None else f"{bucket}/{run.prefix}".removesuffix(f"/{run.run_id}"),
    )


def _sequencer(run: RunSummary) -> str:
    """Name it by its serial number, as it stands in run ids; versions of its software would make several of one."""
    told = instrument_of(Hints(ids=(run.run_id,)))
    serial = told.serial or next(filter(_OTHER_SERIALS.fullmatch, run.run_id.split("_")), None)
    platform = None if told.platform == UNKNOWN.platform else told.platform
    if platform is None and run.instrument is not None:
        platform = _VERSION.sub("", run.instrument)
    return " · ".join(filter(None, (serial, platform))) or UNKNOWN.platform


def _name_in(run: RunSummary, path: str) -> str:
    if run.run_path is None:
        return path
    return "the run as a whole" if path == run.run_path else path.removeprefix(run.run_path.rstrip("/") + "/")
