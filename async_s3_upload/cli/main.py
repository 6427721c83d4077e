"""The typer application: options, help, exit codes. What the commands do is in the modules beside it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from async_s3_upload import __version__
from async_s3_upload.cli import streams
from async_s3_upload.cli.config_commands import config_app
from async_s3_upload.cli.documents import json_on_failure, print_document, printed
from async_s3_upload.cli.options import (
    EXIT_CODE_HELP,
    AsJson,
    Concurrency,
    EndpointUrl,
    JsonEvents,
    Profile,
    Quiet,
    Region,
    Scheduler,
    log_folder,
    state_folder,
)
from async_s3_upload.cli.proof_commands import cleanup, verify
from async_s3_upload.cli.report import Report
from async_s3_upload.cli.report_command import report
from async_s3_upload.cli.status.options import status
from async_s3_upload.errors import DEBUG_VARIABLE, UploadError, UsageError
from async_s3_upload.text import one_line, plural

if TYPE_CHECKING:
    from types import FrameType

app = typer.Typer(
    name="async-s3-upload",
    help="Gets sequencing runs into S3. `monitor` is for cron, `upload` sends one folder now.",
    epilog=EXIT_CODE_HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # the replaced tool wrote --local_path; cron lines with it keep working
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
    },
)

MIB = 1024 * 1024


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"async-s3-upload {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Take the options that stand before the command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


@app.command(epilog=EXIT_CODE_HELP)
def monitor(
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="JSON config file.")],
    scheduler: Scheduler = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell for every run found what would happen and why; change nothing."),
    ] = False,
    as_json: AsJson = False,
    json_events: JsonEvents = False,
    quiet: Quiet = False,
) -> None:
    """Look for completed runs in the monitored folders once and upload those that are wanted."""
    from async_s3_upload.cli.monitor import run_monitor
    from async_s3_upload.cli.progress.output import shown
    from async_s3_upload.cli.workplace import with_scheduler
    from async_s3_upload.config import read_config

    with (
        json_on_failure(as_json),
        shown("monitor", quiet=quiet, as_json=as_json, json_events=json_events, dry_run=dry_run) as output,
    ):
        read = with_scheduler(read_config(config), scheduler)
        report = output.report = run_monitor(read, os.environ, dry_run=dry_run, output=output)
    _finish(report, as_json=as_json, dry_run=dry_run and not json_events)


@app.command(epilog=EXIT_CODE_HELP)
def upload(
    local_path: Annotated[str, typer.Option("--local-path", metavar="DIR", help="Run folder to upload.")],
    bucket: Annotated[str, typer.Option("--bucket", metavar="NAME", help="Name of the S3 bucket.")],
    remote_path: Annotated[
        str, typer.Option("--remote-path", metavar="PATH", help="Path in the bucket to upload to.")
    ] = "/",
    skip_check: Annotated[
        bool, typer.Option("--skip-check", help="Upload any folder, not only complete sequencing runs.")
    ] = False,
    cores: Annotated[
        int | None,
        typer.Option(
            "--cores", metavar="N", min=1, help="Worker processes.", show_default="all available to this process"
        ),
    ] = None,
    scheduler: Scheduler = None,
    concurrency: Concurrency = None,
    checksum: Annotated[
        Literal["crc64nvme", "none"],
        typer.Option("--checksum", help="Checksum sent with each object; none for servers that cannot take it."),
    ] = "crc64nvme",
    max_bandwidth: Annotated[
        str | None,
        typer.Option(
            "--max-bandwidth",
            metavar="RATE",
            help="Most bytes a second of all workers together, such as 50MB/s.",
            show_default="unlimited",
        ),
    ] = None,
    transport: Annotated[
        Literal["lean", "aiobotocore"],
        typer.Option("--transport", help="What carries the bytes to S3; lean is the faster one."),
    ] = "lean",
    part_size: Annotated[
        int, typer.Option("--part-size", metavar="MIB", help="Size of the parts of big files, 5 to 64 MiB.")
    ] = 8,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="REGEX", help="Leave files out whose full path matches. Repeatable."),
    ] = None,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Send a manifest of the folder too, before its termination files.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be sent; change nothing.")] = False,
    log_dir: Annotated[
        str | None,
        typer.Option(
            "--log-dir",
            metavar="DIR",
            help="Logs and run logs; an interrupted upload goes on from there.",
            show_default="the user state folder",
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
    json_events: JsonEvents = False,
    quiet: Quiet = False,
) -> None:
    """Upload one run folder now; given again, it sends only what is new or changed."""
    import logging

    from async_s3_upload.cli.progress.output import shown
    from async_s3_upload.cli.session import Resources, limits_of
    from async_s3_upload.cli.upload import (
        UploadRequest,
        checked_destination,
        compiled,
        limited_to,
        run_folder_path,
        run_upload,
    )
    from async_s3_upload.cli.workplace import scheduler_of
    from async_s3_upload.transfer.cores import available_cores

    with (
        json_on_failure(as_json),
        shown("upload", quiet=quiet, as_json=as_json, json_events=json_events, dry_run=dry_run) as output,
    ):
        checked_destination(bucket, remote_path, endpoint_url)
        if not 5 <= part_size <= 64:
            raise UsageError(f"--part-size: must be 5 to 64 (MiB), not {part_size}")
        request = UploadRequest(
            run_path=run_folder_path(local_path),
            bucket=bucket,
            remote_path=remote_path,
            skip_check=skip_check,
            exclude=compiled(exclude or []),
            resources=Resources(
                cores or available_cores(),
                limits_of(concurrency, checksum=checksum, part_size=part_size * MIB),
                log_folder(log_dir) or state_folder(),
                logging.INFO,
                bandwidth=limited_to(max_bandwidth),
                scheduler=scheduler_of(scheduler),
            ),
            endpoint_url=endpoint_url,
            profile=profile,
            region=region,
            transport=transport,
            manifest=manifest,
        )
        report = output.report = run_upload(request, os.environ, dry_run=dry_run, output=output)
    _finish(report, as_json=as_json, dry_run=dry_run and not json_events)


app.command(epilog=EXIT_CODE_HELP)(status)
app.command(epilog=EXIT_CODE_HELP)(verify)
app.command(epilog=EXIT_CODE_HELP)(cleanup)
app.command(epilog=EXIT_CODE_HELP)(report)
app.add_typer(config_app)


@app.command()
def demo(
    live: Annotated[
        bool,
        typer.Option("--live", help="Let a made-up instrument write a run in half a minute, and upload it meanwhile."),
    ] = False,
) -> None:
    """Show the main job on made-up runs and an embedded S3 server."""
    if live:
        from async_s3_upload.demo.live import show_live

        raise typer.Exit(show_live())
    from async_s3_upload.demo.show import show

    raise typer.Exit(show())


def _finish(report: Report, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print_document(report)
    elif dry_run:
        for row in report.rows:
            typer.echo(one_line(row.as_line()))
        if report.others:
            typer.echo(f"{plural(report.others, 'other sub-folder')} without a run")
        if not report.rows and not report.problems:
            typer.echo("no run folders found")
    raise typer.Exit(report.exit_code)


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code. Errors end as one sentence on stderr, never as a traceback."""
    streams.stand_in_for_closed()
    signal.signal(signal.SIGTERM, _terminated)
    for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"):
        if os.environ.get(name) == "":
            del os.environ[name]  # empty counts as unset; botocore would look for a profile without a name
    if "--debug" not in arguments and not os.environ.get(DEBUG_VARIABLE):
        streams.hush_python()
    try:
        return _run(arguments)
    finally:
        streams.let_go()


def _run(arguments: Sequence[str]) -> int:
    try:
        app(list(arguments), standalone_mode=True)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
        if code == UsageError.exit_code and "--json" in arguments and not printed():
            print_document(Report(problems=["the command line cannot be understood, see stderr"], exit_code=code))
        return code
    except UploadError as error:
        streams.say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return 1
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        streams.say(f"error: {streams.trouble_of_the_machine(error) or _fault(error)}")
        return 1
    return 0


def _fault(error: Exception) -> str:
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a fault of the program. What was uploaded so far is remembered. "
        "Run `async-s3-upload --debug ...` for the traceback and report it."
    )
