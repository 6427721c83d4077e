"""The options of ``config check`` and ``config schema``; what they do is in the modules beside it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from async_s3_upload.cli.documents import json_on_failure, print_document
from async_s3_upload.cli.options import EXIT_CODE_HELP, AsJson
from async_s3_upload.text import one_line

config_app = typer.Typer(
    name="config",
    help="Check a config file, or print the schema of such files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@config_app.command(epilog=EXIT_CODE_HELP)
def check(
    config: Annotated[str, typer.Argument(metavar="FILE", help="JSON config file.")],
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Look also at folders, runs, credentials, clock, buckets and Slack. "
            "To each destination a small object is sent, and removed again.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell all that is wrong with a config file, or what it means; --online: why nothing is uploaded."""
    from async_s3_upload.cli.config_check.command import run_check
    from async_s3_upload.config import read_config

    with json_on_failure(as_json):
        report = run_check(config, read_config(config), os.environ, online=online)
    if as_json:
        print_document(report)
    else:
        for line in report.lines():
            typer.echo(one_line(line))
    raise typer.Exit(report.exit_code)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of config files (draft 2020-12), for editors."""
    from async_s3_upload.config_schema import schema_text

    typer.echo(schema_text(), nl=False)
