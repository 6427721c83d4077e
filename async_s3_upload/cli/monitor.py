"""``monitor``: find completed runs in the monitored folders and upload those that are wanted."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping

from async_s3_upload.cli.cleanup import sweep
from async_s3_upload.cli.concerns import find_concerns
from async_s3_upload.cli.logs import LOCK_FILE, file_log, prepare_log_dir
from async_s3_upload.cli.progress.output import Output
from async_s3_upload.cli.report import Report
from async_s3_upload.cli.report_command import replace_report_page
from async_s3_upload.cli.round_memory import remember_round
from async_s3_upload.cli.round_metrics import RoundMetrics
from async_s3_upload.cli.session import (
    Ending,
    access_for,
    alert_webhook,
    require_buckets,
    resources_of,
    tell,
    trouble_code,
    upload_all,
)
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.survey import Survey, survey
from async_s3_upload.cli.telling import Telling
from async_s3_upload.cli.workplace import early_workers
from async_s3_upload.config import Config
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import preview
from async_s3_upload.delivery.watching import Watchers
from async_s3_upload.errors import LockLostError, UploadError
from async_s3_upload.notify import slack
from async_s3_upload.state.holding import require_held
from async_s3_upload.state.lock import AlreadyRunning, exclusive
from async_s3_upload.state.run_logs import RunLogs
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.workers.nursery import Nursery

log = logging.getLogger(__name__)

_LEVELS = {
    "no_sample_sheet": logging.WARNING,
    "already_uploaded": logging.DEBUG,
    "too_old": logging.DEBUG,
    "run_does_not_match": logging.DEBUG,
    "instrument_does_not_match": logging.DEBUG,
}
"""Levels at which skipped runs are logged; a storage holds years of runs that need no line each hour."""


def run_monitor(config: Config, environ: Mapping[str, str], *, dry_run: bool, output: Output) -> Report:
    """Do one round; all trouble is in the report's exit code and on the log, not raised."""
    # before anything else: see there
    waiting = early_workers(resources_of(config), dry_run=dry_run)
    with waiting, output.console(config.log_level):
        one_round = _Round(config, environ, waiting, output.watchers)
        if dry_run:
            return asyncio.run(one_round.dry_run())
        try:
            prepare_log_dir(config.log_dir)
            with exclusive(os.path.join(config.log_dir, LOCK_FILE)), file_log(config.log_dir):
                began = time.monotonic()
                metrics = RoundMetrics(config, output.watchers)
                metrics.begin()
                report = asyncio.run(one_round.run())
                if one_round.lost_lock:  # what is in the log folder is another one's business now
                    return report
                remember_round(config.log_dir, report, time.monotonic() - began)
                metrics.end(report)
                replace_report_page(config.log_dir, config.report_html)
                return report
        except AlreadyRunning as other:
            text = f"another upload runs already with log_dir {config.log_dir}: nothing to do for this one{other.by}"
            log.info("%s", text)  # an upload takes longer than the pause between two rounds: nothing failed
            return Report(problems=[text])
        except UploadError as error:
            log.error("%s", error)
            webhook = alert_webhook(config.alert_webhook, environ)  # nothing can be remembered: it is told each time
            asyncio.run(tell(webhook, slack.folder_trouble_text([str(error)])))
            report = Report(problems=[str(error)], exit_code=trouble_code(error))
            RoundMetrics(config, output.watchers).end(report)
            return report


class _Round:
    """One round of ``monitor``."""

    def __init__(self, config: Config, environ: Mapping[str, str], waiting: Nursery, watchers: Watchers) -> None:
        self._watchers = watchers
        self._config = config
        self._waiting = waiting
        self._environ = environ
        self._interruption = Interruption()
        self._report = Report()
        self.lost_lock = False

    def _survey(self) -> Survey:
        found = survey(self._config, time.time())
        self._report.problems += found.problems + found.torn_logs
        self._report.others = found.others
        for problem in found.problems:
            log.error("%s", problem)
        for problem in found.torn_logs:
            log.error("%s; its run is treated as partly uploaded with nothing known", problem)
        log.info(
            "found %s to upload (%d of them partly uploaded before), %d in progress, %s to skip, %s",
            plural(len(found.tasks), "run"),
            sum(task.reason == "partial" for task in found.tasks),
            len(found.running),
            plural(len(found.skipped), "run"),
            plural(found.others, "sub-folder") + " without a run",
        )
        return found

    async def _check_access(self) -> None:
        config = self._config
        self._access = access_for(self._environ, config)
        buckets = sorted({section.bucket for section in config.monitor})
        await require_buckets(self._access, buckets, config.request_timeout)

    async def dry_run(self) -> Report:
        """Tell what a round would do; changes nothing and tells nobody."""
        report = self._report
        try:
            with self._interruption.watching():
                found = self._survey()
                logs = RunLogs(self._config.log_dir)
                report.rows = [preview(task, logs) for task in found.tasks + found.running] + found.skipped
                report.exit_code = 3 if found.problems else 0
                await self._check_access()
        except UploadError as error:
            self._note(error)
        return report

    async def run(self) -> Report:
        """Do the round."""
        telling = Telling(self._config, self._environ)
        try:
            with self._interruption.watching():
                await self._run(telling)
            require_held()
        except LockLostError as error:
            self.lost_lock = True
            self._note(error)
        except UploadError as error:
            self._note(error)
            await telling.ended_by(error)
        return self._report

    def _note(self, error: UploadError) -> None:
        log.error("%s", error)
        self._report.problems.append(str(error))
        self._report.exit_code = trouble_code(error)

    async def _run(self, telling: Telling) -> None:
        config, report = self._config, self._report
        if telling.alert_webhook is None:
            log.info("no Slack webhook is configured: nobody is told")
        await self._check_access()
        found = await asyncio.to_thread(self._survey)
        for row in found.skipped:
            log.log(
                _LEVELS.get(row.reason, logging.INFO),
                "%s: skipped, %s: %s",
                printable(row.run_path),
                row.reason,
                printable(row.detail),
            )
        report.rows += found.skipped
        require_held()
        await telling.found(found)
        await telling.concerns(
            await asyncio.to_thread(find_concerns, found.unfinished, config.stalled_after, time.time())
        )
        rows: list[RunRow] = []
        resources = resources_of(config)
        ending = Ending()
        try:
            if found.tasks or found.running:
                ending = await upload_all(
                    found.tasks,
                    self._access,
                    resources,
                    self._interruption,
                    rows,
                    self._waiting,
                    found.running,
                    self._watchers,
                )
        finally:
            report.rows[:0] = rows
        require_held()
        self._note_outcome(ending)
        await telling.outcome(report.rows, ending)
        if not ending.doom:
            await sweep(config, self._access)
        if ending.doom:
            report.exit_code = 1
        elif report.with_state("partial") or found.problems:
            report.exit_code = 3

    def _note_outcome(self, ending: Ending) -> None:
        uploaded, failed = self._report.with_state("uploaded"), self._report.with_state("partial")
        log.info("done: %s uploaded, %d failed", plural(len(uploaded), "run"), len(failed))
        for trouble in filter(None, (ending.doom, ending.gave_up)):
            log.error("%s", trouble)
            self._report.problems.append(trouble)
