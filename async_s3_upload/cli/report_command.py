"""The options of ``report``, and the page after a round; what is in the page is the matter of ``report_page``."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from async_s3_upload.cli.options import log_folder, state_folder
from async_s3_upload.errors import UsageError

log = logging.getLogger(__name__)


def replace_report_page(log_dir: str, path: str | None) -> None:
    """Write the page after a round, where one is wanted; that it cannot be written is an error on the log only."""
    if path is None:
        return
    try:
        from async_s3_upload.cli.report_page import write_report_page

        write_report_page(log_dir, path)
    except Exception as error:  # whatever it is: the runs went up all the same
        log.error("no report page was written: %s", error)


def report(
    out: Annotated[str, typer.Argument(metavar="OUT.html", help="File to write; replaced where it is there.")],
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Take the log folder from this config file.")
    ] = None,
    log_dir: Annotated[
        str | None,
        typer.Option(
            "--log-dir", metavar="DIR", help="Folder with the run logs.", show_default="the user state folder"
        ),
    ] = None,
) -> None:
    """Write a page about all runs: timeline, throughput, failures, a table. One HTML file that loads nothing."""
    from async_s3_upload.cli.report_page import write_report_page

    if config is not None and log_dir is not None:
        raise UsageError("--config and --log-dir both name a log folder: give one of them")
    if config is not None:
        from async_s3_upload.config import read_config

        log_dir = read_config(config, None).log_dir
    count = write_report_page(log_folder(log_dir) or state_folder(), out)
    typer.echo(f"{out}: {count:,} run{'' if count == 1 else 's'}")
