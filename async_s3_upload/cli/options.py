"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from async_s3_upload.errors import EXIT_CODES, UsageError

EXIT_CODE_HELP = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {text}" for code, text in EXIT_CODES.items())
JSON_HELP = "Print one JSON document on stdout; everything else goes to stderr."

AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
JsonEvents = Annotated[
    bool,
    typer.Option(
        "--json-events",
        help="Print what happens as JSON lines on stdout (docs/events.md); everything else goes to stderr.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show only warnings and errors; the log file has everything.")]
EndpointUrl = Annotated[str | None, typer.Option("--endpoint-url", metavar="URL", help="S3 server other than AWS.")]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of ~/.aws to use.")]
Region = Annotated[str | None, typer.Option("--region", metavar="NAME", help="AWS region.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="TEXT",
        help="Send with the workers of a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, or the path of a scheduler "
        "file (docs/scaling.md).",
        show_default="worker processes of this machine",
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="Requests in flight per worker.",
        show_default="16, and up to 128 where more brings more",
    ),
]


def log_folder(given: str | None) -> str | None:
    """Return the absolute path that ``--log-dir`` names, None where it is not given.

    Raises:
        UsageError: it is empty, as from a variable that is not set.
    """
    if given == "":
        raise UsageError("--log-dir: must not be empty")
    return os.path.abspath(given) if given is not None else None


def state_folder() -> str:
    """Return where logs and run logs lie when no folder is named.

    Raises:
        UsageError: this user has no home.
    """
    from platformdirs import user_state_path

    try:
        return str(user_state_path("async-s3-upload"))
    except RuntimeError as error:
        raise UsageError("this user has no home folder for the logs: name one with --log-dir") from error
