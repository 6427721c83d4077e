"""Writes down how a round of ``monitor`` ended."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from async_s3_upload.cli.report import Report
from async_s3_upload.errors import LogDirError
from async_s3_upload.state.rounds import Round, append_round

log = logging.getLogger(__name__)


def remember_round(log_dir: str, report: Report, seconds: float) -> None:
    """Add the round to those in the log folder; that it cannot be written is a warning, the runs went up all the same.

    To be called while the log folder's lock is held.
    """
    done = Round(
        datetime.now(UTC),
        report.exit_code,
        seconds,
        uploaded=len(report.with_state("uploaded")),
        failed=len(report.with_state("partial")),
        in_progress=len(report.with_state("in_progress")),
        skipped=len(report.with_state("skipped")),
        bytes_sent=sum(row.uploaded_bytes for row in report.rows),
        problems=tuple(report.problems),
    )
    try:
        append_round(log_dir, done)
    except LogDirError as error:
        log.warning("%s", error)
