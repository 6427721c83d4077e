"""The options of ``report``; what it does is in ``report_page``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from async_s3_upload.cli.options import state_folder
from async_s3_upload.errors import UsageError


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

        log_dir = read_config(config).log_dir
    count = write_report_page(os.path.abspath(log_dir) if log_dir else state_folder(), out)
    typer.echo(f"{out}: {count:,} run{'' if count == 1 else 's'}")
