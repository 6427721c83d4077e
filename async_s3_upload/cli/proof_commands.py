"""The options of ``verify`` and ``cleanup``; what the commands do is in the modules beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from async_s3_upload.cli.documents import json_on_failure, print_document
from async_s3_upload.cli.options import AsJson, Concurrency, EndpointUrl, Profile, Region, log_folder, state_folder
from async_s3_upload.errors import UsageError
from async_s3_upload.text import one_line

if TYPE_CHECKING:
    from async_s3_upload.cli.session import Resources
    from async_s3_upload.cli.verify.report import VerifyReport
    from async_s3_upload.config import Config


def verify(
    run: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Verify this run, by its run log.")] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Verify the runs of this config; with --run, that run alone."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", help="With --config: runs touched in the last N days.", show_default="7"),
    ] = None,
    local_path: Annotated[
        str | None, typer.Option("--local-path", metavar="DIR", help="Verify this run folder, with --bucket.")
    ] = None,
    bucket: Annotated[str | None, typer.Option("--bucket", metavar="NAME", help="Name of the S3 bucket.")] = None,
    remote_path: Annotated[
        str | None, typer.Option("--remote-path", metavar="PATH", help="Path in the bucket.", show_default="/")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="REGEX", help="With --local-path: files that were left out. Repeatable."),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="S3-URL|FILE",
            help="Verify the run of this manifest, by that alone; with --bucket, as it lies in that bucket.",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep/--quick",
            help="Read every local file and compare its bytes (with --manifest: compare the checksums that S3 keeps); "
            "or compare sizes, times and ETags.",
        ),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Send what is missing or different; nothing is ever deleted.")
    ] = False,
    log_dir: Annotated[
        str | None,
        typer.Option("--log-dir", metavar="DIR", help="Where the run logs are.", show_default="the user state folder"),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            "--cores", metavar="N", min=1, help="Worker processes.", show_default="all available, or max_cores"
        ),
    ] = None,
    concurrency: Concurrency = None,
    checksum: Annotated[
        Literal["crc64nvme", "none"] | None,
        typer.Option(
            "--checksum",
            help="Checksum sent by --repair; none for servers that cannot take it.",
            show_default="crc64nvme",
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Compare what S3 holds with what was sent, and tell what is missing, different or extra."""
    from async_s3_upload.cli.upload import checked_destination
    from async_s3_upload.cli.verify.by_manifest import ManifestRequest, run_verify_manifest
    from async_s3_upload.cli.verify.choice import Choice, check_alone
    from async_s3_upload.cli.verify.command import VerifyRequest, run_verify
    from async_s3_upload.config import read_config

    if manifest is not None:
        others = {
            "--run": run,
            "--config": config,
            "--days": days,
            "--local-path": local_path,
            "--remote-path": remote_path,
            "--exclude": exclude,
            "--repair": repair or None,
            "--log-dir": log_dir,
            "--cores": cores,
            "--checksum": checksum,
        }
        with json_on_failure(as_json):
            check_alone("--manifest", others)
            checked_destination("none" if bucket is None else bucket, "/", endpoint_url)
            by_manifest = run_verify_manifest(
                ManifestRequest(
                    manifest, bucket, "deep" if deep else "quick", concurrency, endpoint_url, profile, region
                ),
                os.environ,
            )
        _finish(by_manifest, as_json=as_json)
    with json_on_failure(as_json):
        choice = Choice(run, config, days, local_path, bucket, remote_path, exclude or [], log_dir)
        choice.check()
        checked_destination(bucket or "none", remote_path or "/", endpoint_url)
        read = read_config(config, None) if config is not None else None
        folder = _log_dir(log_dir, read)
        request = VerifyRequest(
            find=lambda: choice.find(read, folder),
            level="deep" if deep else "quick",
            repair=repair,
            resources=_resources(read, folder, cores, concurrency, checksum),
            config=read,
            endpoint_url=endpoint_url,
            profile=profile,
            region=region,
        )
        report = run_verify(request, os.environ)
    _finish(report, as_json=as_json)


def _finish(report: VerifyReport, *, as_json: bool) -> NoReturn:
    if as_json:
        print_document(report)
    else:
        for row in report.rows:
            for line in row.lines():
                typer.echo(one_line(line))
        if not report.rows and not report.problems:
            typer.echo("no run log was touched in that time: nothing to verify")
    raise typer.Exit(report.exit_code)


def cleanup(
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Look where the runs of this config go.")
    ] = None,
    bucket: Annotated[str | None, typer.Option("--bucket", metavar="NAME", help="Look in this bucket.")] = None,
    remote_path: Annotated[
        str | None, typer.Option("--remote-path", metavar="PATH", help="Path in the bucket to look under.")
    ] = None,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Uploads begun at least so many days ago.")
    ] = 7,
    apply: Annotated[bool, typer.Option("--apply", help="Abort them; without it they are only listed.")] = False,
    log_dir: Annotated[
        str | None,
        typer.Option(
            "--log-dir",
            metavar="DIR",
            help="Where the journals are; what they will go on with is kept.",
            show_default="the config's, or the user state folder",
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """List multipart uploads in progress under our paths, and abort those that nothing will go on with."""
    from async_s3_upload.cli.cleanup import CleanupRequest, destination, destinations_of, run_cleanup
    from async_s3_upload.cli.upload import checked_destination
    from async_s3_upload.config import read_config

    with json_on_failure(as_json):
        if (config is None) == (bucket is None and remote_path is None):
            raise UsageError("name where to look: either --config, or --bucket with --remote-path")
        if config is None and (bucket is None or remote_path is None):
            raise UsageError("--bucket and --remote-path go together")
        checked_destination(bucket or "none", remote_path or "/", endpoint_url)
        read = read_config(config, None) if config is not None else None
        request = CleanupRequest(
            destinations=[destination(bucket or "", remote_path or "/")] if read is None else destinations_of(read),
            log_dir=_log_dir(log_dir, read),
            older_than_days=older_than,
            apply=apply,
            config=read,
            endpoint_url=endpoint_url,
            profile=profile,
            region=region,
        )
        report = run_cleanup(request, os.environ)
    if as_json:
        print_document(report)
    else:
        for line in report.lines():
            typer.echo(one_line(line))
    raise typer.Exit(report.exit_code)


def _log_dir(log_dir: str | None, config: Config | None) -> str:
    return log_folder(log_dir) or (config.log_dir if config is not None else state_folder())


def _resources(
    config: Config | None,
    log_dir: str,
    cores: int | None,
    concurrency: int | None,
    checksum: Literal["crc64nvme", "none"] | None,
) -> Resources:
    """Options come before what the config says."""
    import logging

    from async_s3_upload.cli.session import Resources, limits_of, resources_of
    from async_s3_upload.transfer.cores import available_cores

    if config is None:
        limits = limits_of(concurrency, checksum=checksum or "crc64nvme")
        return Resources(cores or available_cores(), limits, log_dir, logging.INFO)
    return resources_of(config, log_dir=log_dir, cores=cores, concurrency=concurrency, checksum=checksum)
