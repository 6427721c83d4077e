"""Verifies one run: lists what S3 holds of it, compares bytes where asked to, and repairs."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Collection
from dataclasses import replace

from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.verify.findings import Findings
from async_s3_upload.cli.verify.report import VerifiedRun
from async_s3_upload.cli.verify.stock import take_stock
from async_s3_upload.cli.verify.targets import Target
from async_s3_upload.delivery.uploading import RunTask, Uploader
from async_s3_upload.errors import LogDirError
from async_s3_upload.state.lock import AlreadyRunning, taken
from async_s3_upload.state.run_logs import RunLogs
from async_s3_upload.state.run_state import recall
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import FileDone, FileFailed, TransferEvent
from async_s3_upload.transfer.plan import compare_job
from async_s3_upload.transfer.stores.store import ObjectStore, StoreError

log = logging.getLogger(__name__)

STOPPED = "stopped before the end"
BUSY = "another process uploads this run at the moment: verify it again afterwards"


class Verifier:
    """Verifies runs one after the other. ``doomed`` are buckets of which nothing can be asked, with the reason."""

    def __init__(
        self,
        coordinator: Coordinator,
        control: ObjectStore,
        uploader: Uploader,
        logs: RunLogs,
        interruption: Interruption,
    ) -> None:
        self._coordinator = coordinator
        self._control = control
        self._uploader = uploader
        self._logs = logs
        self._interruption = interruption
        self.doomed: dict[str, str] = {}

    async def verify(self, target: Target, row: VerifiedRun, *, repair: bool) -> None:
        """Verify one run at the row's level; all that is found goes into the row.

        Raises:
            UploadError: the command cannot go on.
        """
        began = time.monotonic()
        row.trouble = STOPPED  # unless it comes to an end
        row.trouble = await self._verify(target, row, repair=repair)
        row.seconds = time.monotonic() - began

    async def _verify(self, target: Target, row: VerifiedRun, *, repair: bool) -> str:
        """Do it; returns why it could not be done to the end."""
        if await _is_busy(target.remembered.lock):
            return BUSY
        found, trouble = await self._check(target, row, None)
        if found is None:
            return trouble
        found.fill(row)
        if repair and found.wrong() and not trouble:
            return await self._repair(target, row, found)
        return trouble

    async def _check(
        self, target: Target, row: VerifiedRun, only: Collection[str] | None
    ) -> tuple[Findings | None, str]:
        """Find what differs, as far as that can be told, and why it cannot be told wholly.

        ``only`` restricts the comparison of bytes to these names.
        """
        deep = row.level == "deep"
        recalled = recall(target.identity, target.remembered)
        row.notes = recalled.problems
        try:
            stock = await asyncio.to_thread(
                take_stock, target.identity, row.prefix, recalled.log, target.exclude, deep=deep
            )
        except OSError as error:
            return None, f"the run folder cannot be listed: {error.strerror or error}"
        row.notes = [*recalled.problems, *stock.notes]
        row.files, row.bytes = len(stock.expected), stock.total_bytes
        found = Findings(row, stock)
        try:
            await found.ask_listing(self._control)
        except StoreError as error:
            return None, f"S3 could not be asked: {error}"
        trouble = ""
        if deep:
            trouble = await self._compare(found, row, only)
            found.note_gone()
        return found, trouble

    async def _compare(self, found: Findings, row: VerifiedRun, only: Collection[str] | None) -> str:
        """Compare bytes; returns why not all could be."""
        stock = found.stock
        files = [
            file for name, file in stock.local.items() if name not in found.missing and (only is None or name in only)
        ]
        part_sizes = {name: record.part_size for name, record in stock.records.items() if record.part_size}
        job = compare_job(row.bucket, row.prefix, row.run_path, files, part_sizes)
        left = set(job.names)

        def take(event: TransferEvent) -> None:
            if isinstance(event, (FileDone, FileFailed)):
                name = job.names[event.number]
                left.discard(name)
                found.take(name, event)

        log.info("%s: comparing the bytes of %s", printable(row.run_id), plural(len(job.items), "file"))
        with self._interruption.softly(self._coordinator.stop):
            sent = await self._coordinator.send(job, take)
        if sent.doom:
            self.doomed[row.bucket] = sent.doom
        if left or sent.doom:
            return f"not everything could be compared: {sent.doom or sent.gave_up or STOPPED}"
        return ""

    async def _repair(self, target: Target, row: VerifiedRun, found: Findings) -> str:
        """Send what is missing or different, and look at that again."""
        if target.exclude is None:
            row.notes.append("nothing is sent, as nobody knows what was left out of this run: give --config")
            return ""
        if target.remembered.log is not None and target.remembered.log.in_progress:
            row.notes.append("nothing is sent while the instrument writes it: that is done when the run is complete")
            return ""
        if found.stock.folder_gone:
            row.notes.append("nothing can be sent without the run folder")
            return ""
        wrong = found.wrong()
        stock = found.stock
        # what no log knows, but S3 seems to hold, is compared before it is sent
        unrecorded = stock.local.keys() - stock.records.keys() - wrong
        task = RunTask(target.identity, target.exclude, "partial", "verify found differences", target.settings)
        with self._interruption.softly(self._coordinator.stop):
            sent = await self._uploader.upload(task, wrong, unrecorded)
        self.doomed |= self._uploader.doomed
        if self._interruption.signal_number is not None:
            return STOPPED
        fresh = replace(target, remembered=self._logs.find(target.identity))
        now, trouble = await self._check(fresh, row, wrong)
        if now is None:
            return trouble
        unproved, failed = row.unproved, row.failed
        now.fill(row, wrong)
        row.unproved, row.failed = sorted(unproved + row.unproved), sorted(failed + row.failed)
        still = now.wrong() | now.failed.keys()
        row.repaired = [
            found.finding(name, found.missing.get(name) or found.different[name]) for name in sorted(wrong - still)
        ]
        if sent.state == "partial" and not trouble:
            return f"not everything could be sent: {sent.detail}"
        return trouble


async def _is_busy(lock: str) -> bool:
    """Tell whether an upload of the run holds its lock; who may not open the lock cannot tell."""
    if not await asyncio.to_thread(os.path.exists, lock):
        return False
    try:
        with await taken(lock):
            return False
    except AlreadyRunning:
        return True
    except LogDirError:
        return False
