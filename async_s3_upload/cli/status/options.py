"""The options of ``status``; what it does is in the modules beside it, which are imported when it is called."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from async_s3_upload.cli.documents import json_on_failure, print_document
from async_s3_upload.cli.options import AsJson


class StateName(StrEnum):
    """States that can be asked for."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    IN_PROGRESS = "in_progress"
    UPLOADING = "uploading"
    DAMAGED = "damaged"


def status(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN_ID", help="Tell all that is known of this run.", show_default=False)
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Look into the log folder of this config.")
    ] = None,
    log_dir: Annotated[
        str | None,
        typer.Option("--log-dir", metavar="DIR", help="Where the run logs are.", show_default="the user state folder"),
    ] = None,
    state: Annotated[
        list[StateName] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help=f"Only runs in this state: {', '.join(StateName)}. Repeatable.",
            show_default="all",
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", help="Only runs touched in the last N days.", show_default="all"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of all known runs, the newest last; reads run logs and journals, and changes nothing."""
    from async_s3_upload.cli.status.command import StatusRequest, find_status

    with json_on_failure(as_json):
        found = find_status(StatusRequest(run_id, config, log_dir, state or [], days))
    if as_json:
        print_document(found)
        return
    from async_s3_upload.cli.status.show import show

    show(found)
