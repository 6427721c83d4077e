"""What a round of ``monitor`` tells to whom: successes, and, by ``alerts``, what is wrong and what is over."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from async_s3_upload.cli.alerts import Alerts, Trouble
from async_s3_upload.cli.concerns import FAILED, STALLED, Concerns, tell_concerns
from async_s3_upload.cli.session import Ending, alert_webhook, tell
from async_s3_upload.cli.survey import HOUR_S, Survey
from async_s3_upload.config import Config
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.errors import AwsAccessError, Interrupted, UploadError
from async_s3_upload.notify import slack
from async_s3_upload.text import printable
from async_s3_upload.transfer.stores.preflight import UNREACHABLE

AWS, FOLDER, TORN_LOG, ROUND, FAILING = "aws", "folder", "torn_log", "round", "failing"
NOT_BEGUN = "not begun: "


class Telling:
    """The voice of one round; made by who holds the lock of the log folder. Nothing here raises for Slack's trouble."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config = config
        self.alert_webhook = alert_webhook(config.alert_webhook, environ)
        self._alerts = Alerts(config.log_dir, self.alert_webhook, config.alert_repeat_hours * HOUR_S)

    async def ended_by(self, error: UploadError) -> None:
        """Tell what ended the round before its time; a signal is no trouble."""
        if isinstance(error, AwsAccessError):
            await self._aws([str(error)])
        elif not isinstance(error, Interrupted):
            due = self._alerts.due([Trouble(ROUND, self._config.log_dir, without_numbers(str(error)))])
            if due:
                await self._alerts.tell(slack.folder_trouble_text([str(error)]), due)

    async def found(self, found: Survey) -> None:
        """Tell what could not be looked at."""
        log_dir = self._config.log_dir
        troubles = {Trouble(FOLDER, folder, problem): problem for folder, problem in found.troubles}
        troubles |= {Trouble(TORN_LOG, log_dir, problem): problem for problem in found.torn_logs}
        due = self._alerts.due(list(troubles))
        if due:
            await self._alerts.tell(slack.folder_trouble_text([printable(troubles[it]) for it in due]), due)
        for section in self._config.monitor:
            for folder in section.monitored_directories:
                self._alerts.over(folder, FOLDER, f"{printable(folder)} can be looked at")
        self._alerts.over(log_dir, TORN_LOG)  # the next log takes its place: nothing that people wait for

    async def concerns(self, concerns: Concerns) -> None:
        """Tell of runs that will not complete by themselves."""
        await tell_concerns(concerns, self._alerts)

    async def outcome(self, rows: Sequence[RunRow], ending: Ending) -> None:
        """Tell what became of the runs in a round that came to its end, and what is over."""
        reasons = [reason for reason in (ending.doom, ending.gave_up) if reason]
        await self._aws(reasons)
        await self._successes([row for row in rows if row.state == "uploaded"])
        failed = [row for row in rows if row.state == "partial"]
        # the alert above is theirs: one for each cause
        await self._failures([row for row in failed if not _is_owed_to(row, reasons)])
        self._note_uploaded(rows, {row.run_path for row in failed})
        self._alerts.over(self._config.log_dir, AWS, "S3 can be used")
        self._alerts.over(self._config.log_dir, ROUND, "a round came to its end")
        await self._alerts.tell_recovered()

    def _note_uploaded(self, rows: Sequence[RunRow], failed: Collection[str]) -> None:
        for row in rows:
            if (row.state == "uploaded" or row.reason == "already_uploaded") and row.run_path not in failed:
                words = f"{printable(row.run_id)} is uploaded"
                self._alerts.over(row.run_path, FAILING, words)
                self._alerts.over(row.run_path, STALLED, words)
                self._alerts.over(row.run_path, FAILED)  # that it failed on the instrument stays true

    async def _aws(self, reasons: Sequence[str]) -> None:
        for reason in reasons:
            due = self._alerts.due([Trouble(AWS, self._config.log_dir, aws_cause(reason))])
            if due:
                await self._alerts.tell(slack.aws_trouble_text(reason), due)

    async def _successes(self, rows: Sequence[RunRow]) -> None:
        if not rows:
            return
        if self._config.slack_style == "rich":
            text = slack.rich_success_text([_sent_run(row) for row in rows])
        else:
            text = slack.success_text([printable(row.run_id) for row in rows])
        await tell(self._config.log_webhook, text)

    async def _failures(self, rows: Sequence[RunRow]) -> None:
        """Tell of runs that fail; which files, and why, may change from round to round and is no new cause."""
        names = {Trouble(FAILING, row.run_path, f"{row.bucket}/{row.prefix}"): printable(row.run_id) for row in rows}
        due = self._alerts.due(list(names))
        if due:
            await self._alerts.tell(slack.failure_text([names[it] for it in due]), due)


def aws_cause(reason: str) -> str:
    """Return what stays of a reason while its cause does: an S3 out of reach is one, whichever way that shows."""
    unreachable = UNREACHABLE in reason or reason.startswith("nothing succeeded for")
    return UNREACHABLE if unreachable else without_numbers(reason)


def without_numbers(text: str) -> str:
    """Return what stays of a sentence while its cause does: how many files were tried does not.

    Numbers that are a part of a name stay.
    """
    return re.sub(r"(?<![\w.-])\d[\d.,]*(?![\w-])", "#", text)


def _is_owed_to(row: RunRow, reasons: Sequence[str]) -> bool:
    detail = row.detail.removeprefix(NOT_BEGUN)
    return bool(detail) and any(detail in reason for reason in reasons)


def _sent_run(row: RunRow) -> slack.SentRun:
    return slack.SentRun(
        printable(row.run_id),
        row.files or 0,
        row.bytes or 0,
        row.uploaded_files,
        row.uploaded_bytes,
        row.seconds,
        f"s3://{row.bucket}/{printable(row.prefix)}",
    )
