"""Writes the manifest of a run and sends it: after all its files, and before the markers."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace

from async_s3_upload.runs.file_table import LocalFile
from async_s3_upload.state.manifest import Head, manifest_names, write_manifest
from async_s3_upload.state.records import as_records
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_log_lines import Folders
from async_s3_upload.text import printable
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import FileDone, FileFailed, ObjectSettings, TransferEvent
from async_s3_upload.transfer.parts import is_multipart
from async_s3_upload.transfer.plan import Memory, plan_job

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""What lies in these classes cannot be read at once, which is what a manifest is for."""


async def upload_manifest(
    coordinator: Coordinator,
    settings: ObjectSettings,
    bucket: str,
    prefix: str,
    run_log: RunLog,
    markers: Sequence[str],
    folder: str,
    now_text: str,
    instrument: str | None = None,
) -> str | None:
    """Send ``<run_id>.manifest.tsv`` and ``.json`` below ``prefix``; returns why that failed, or None.

    To be called when every file but the ``markers`` (names relative to the run folder) is recorded and verified, and
    before the first marker is sent. The manifests are no files of the run: nothing of them goes into the run log.
    ``folder`` is a work folder of this run alone, in the log folder; it is made, and removed at the end. What a kill
    leaves there is replaced by the next call. Objects in ARCHIVES get the bucket's default class here.

    An orderly stop of the coordinator is a failure too; so is a run that holds a file of such a name, as one of the
    two would be lost.

    Raises:
        UploadError: the command cannot go on, as ``Coordinator.send`` raises it.
    """
    names = manifest_names(run_log.run_id)
    for name in names:
        if name in run_log.files:
            return f"the run holds a file named {printable(name)} itself, which the manifest would replace"
    folders = as_records(run_log.files).folders()
    head = Head(run_log.run_id, bucket, prefix, now_text, tuple(markers), instrument)
    if settings.storage_class in ARCHIVES:
        settings = replace(settings, storage_class=None)
    try:
        files = await asyncio.to_thread(_written, folder, head, folders)
        return await _send(coordinator, settings, bucket, prefix, folder, files)
    except OSError as error:
        return f"the manifest cannot be written in {printable(folder)}: {error.strerror or error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(folder: str, head: Head, folders: Folders) -> list[LocalFile]:
    os.makedirs(folder, exist_ok=True)
    write_manifest(folder, head, folders)
    files = []
    for name in manifest_names(head.run_id):
        found = os.stat(os.path.join(folder, name))
        files.append(LocalFile(name, found.st_size, found.st_mtime_ns, found.st_ino))
    return files


async def _send(
    coordinator: Coordinator,
    settings: ObjectSettings,
    bucket: str,
    prefix: str,
    folder: str,
    files: Sequence[LocalFile],
) -> str | None:
    # no journal knows the parts of an earlier start that was killed: they are looked for, and dropped
    stray = frozenset(file.name for file in files if is_multipart(file.size))
    job = plan_job(bucket, prefix, folder, files, settings, Memory(stray=stray))
    failures = {job.names[number]: "" for number in range(len(job.items))} | job.impossible

    def take(event: TransferEvent) -> None:
        if isinstance(event, FileFailed):
            failures[job.names[event.number]] = event.error
        elif isinstance(event, FileDone):
            failures.pop(job.names[event.number])

    sent = await coordinator.send(job, take, some_succeeded=True)
    if not failures:
        return None
    name, why = next(iter(failures.items()))
    why = sent.doom or why or sent.gave_up or "stopped before the end"
    return f"the manifest {printable(name)} was not sent: {why}"
