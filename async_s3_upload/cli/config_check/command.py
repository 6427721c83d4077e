"""``config check``: what the config means, and with ``--online`` whether what it needs is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from async_s3_upload.cli.config_check.cluster import check_cluster, check_dask
from async_s3_upload.cli.config_check.findings import CheckReport, Finding
from async_s3_upload.cli.config_check.machine import check_folders, check_log_dir, check_outputs
from async_s3_upload.cli.config_check.runs import rows_of, run_lines
from async_s3_upload.cli.config_check.s3 import check_s3
from async_s3_upload.cli.config_check.summary import settings, summary_lines
from async_s3_upload.cli.config_check.webhooks import check_webhooks
from async_s3_upload.cli.logs import console_log
from async_s3_upload.cli.session import trouble_code
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.survey import Survey, survey
from async_s3_upload.config import Config
from async_s3_upload.errors import LogDirError, UploadError


def run_check(path: str, config: Config, environ: Mapping[str, str], *, online: bool) -> CheckReport:
    """Check; trouble is in the report, not raised. After a signal, too, what was put into S3 is removed."""
    report = CheckReport(path, summary_lines(config), settings(config), check_dask(config))
    report.exit_code = 1 if report.count("problem") else 0
    if online:
        with console_log(logging.WARNING):
            try:
                asyncio.run(_look_around(config, environ, report))
            except UploadError as error:
                report.stopped = f"not everything was checked: {error}"
                report.exit_code = trouble_code(error)
    return report


async def _look_around(config: Config, environ: Mapping[str, str], report: CheckReport) -> None:
    with Interruption().watching():
        await asyncio.to_thread(_look_here, config, report)
        found = await asyncio.gather(
            check_cluster(config, environ), check_s3(config, environ), check_webhooks(config, environ)
        )
        report.findings += [finding for each in found for finding in each]
    report.exit_code = 1 if report.count("problem") else 0


def _look_here(config: Config, report: CheckReport) -> None:
    now = time.time()
    report.findings += check_log_dir(config.log_dir, now)
    report.findings += check_outputs(config)
    report.findings += check_folders(config, now)
    try:
        found = survey(config, now)
    except LogDirError as error:
        report.runs, report.run_lines = [], [f"runs: nobody knows what is uploaded already: {error}"]
        return
    report.findings += _torn(config, found)
    report.runs = rows_of(found)
    report.run_lines = run_lines(report.runs)


def _torn(config: Config, found: Survey) -> list[Finding]:
    advice = "its run goes up from the start"
    return [Finding("log_dir", "warning", f"log_dir {config.log_dir}", text, advice) for text in found.torn_logs]
