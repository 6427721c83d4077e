"""Keeps the metrics file of ``monitor`` up to date: at the begin of a round, now and then, and at its end."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

from async_s3_upload.cli.report import Report
from async_s3_upload.config import Config
from async_s3_upload.delivery.events import RunEnded, WatchEvent
from async_s3_upload.delivery.watching import RunProgress, Watchers
from async_s3_upload.errors import LogDirError
from async_s3_upload.notify.metrics import MetricsFile, RoundFigures
from async_s3_upload.state.overview import State, overview
from async_s3_upload.transfer.activity import Activity

log = logging.getLogger(__name__)

EVERY_S = 15.0
"""How often the file is written anew while runs go up; Prometheus seldom asks more often."""


class RoundMetrics:
    """Watches one round for the metrics file, where the config names one; else nothing is done at all."""

    each_file = False

    def __init__(self, config: Config, watchers: Watchers, clock: Callable[[], float] = time.monotonic) -> None:
        self._log_dir = config.log_dir
        self._watchers = watchers
        self._clock = clock
        self._began = self._written = clock()
        self._bytes_of_ended = 0
        self._file: MetricsFile | None = None
        if config.metrics_file is not None:
            self._file = MetricsFile(config.metrics_file, config.log_dir)
            watchers.watchers = (*watchers.watchers, self)

    def begin(self) -> None:
        """Write that a round runs."""
        if self._file is not None:
            self._file.begin()

    def tell(self, event: WatchEvent) -> None:
        """Count what was sent of runs that are not under way any more."""
        if isinstance(event, RunEnded):
            self._bytes_of_ended += event.sent_bytes

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        """Write how far the round is, where that is due."""
        if self._file is not None and self._clock() - self._written >= EVERY_S:
            self._written = self._clock()
            self._file.go_on(self._bytes_of_ended + sum(run.bytes_sent for run in runs), activity.retries)

    def rest(self) -> None:
        """Nothing is kept open."""

    def end(self, report: Report) -> None:
        """Write what the round came to."""
        if self._file is None:
            return
        activity = self._watchers.activity
        self._file.end(
            RoundFigures(
                time.time(),
                self._clock() - self._began,
                report.exit_code,
                uploaded_runs=len(report.with_state("uploaded")),
                failed_runs=len(report.with_state("partial")),
                sent_files=sum(row.uploaded_files for row in report.rows),
                sent_bytes=max(self._bytes_of_ended, sum(row.uploaded_bytes for row in report.rows)),
                failed_files=sum(len(row.failed_files) for row in report.rows),
                retries=0 if activity is None else activity.retries,
                runs=self._runs(),
            )
        )

    def _runs(self) -> Mapping[str, int]:
        """Count all runs by state; nothing where the log folder cannot be looked at."""
        try:
            found = overview(self._log_dir, datetime.now(UTC))
        except LogDirError as error:
            log.warning("%s: the metrics file tells no number of runs", error)
            return {}
        counted = Counter(run.state for run in found.runs)
        return {state: counted[state] for state in get_args(State)}
