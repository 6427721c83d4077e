"""Uploads a run that is complete: data, proof, a last look into the folder, and then its markers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Sequence
from itertools import chain

from async_s3_upload.delivery.manifest import upload_manifest
from async_s3_upload.delivery.recording import now_text
from async_s3_upload.delivery.remaining import left_to_send
from async_s3_upload.delivery.run_upload import RunUpload
from async_s3_upload.delivery.sending import ROUNDS
from async_s3_upload.runs.file_table import FileTable, LocalFile, Selection
from async_s3_upload.runs.scan import scan
from async_s3_upload.state.run_state import Recalled
from async_s3_upload.text import plural, printable

log = logging.getLogger(__name__)


class WholeRun(RunUpload):
    """A run of which all is to be in S3; with a ``manifest_folder`` to write it in, a manifest precedes the markers."""

    manifest_folder: str | None = None

    def _left(self, recalled: Recalled, resend: Collection[str]) -> Selection:
        """Return the files that are to be sent."""
        return left_to_send(self._found, recalled.log, resend)

    def _has_nothing_to_do(self, recalled: Recalled, left: Selection) -> bool:
        """Tell, also in the row, that the run needs nothing; nothing is written then."""
        row = self._row
        if not recalled.log.completed or left or self._found.unsendable:
            return False
        row.state, row.reason, row.detail = "skipped", "already_uploaded", "nothing is new or changed"
        log.info("%s: %s", printable(row.run_id), row.detail)
        return True

    def _unsendable(self) -> dict[str, str]:
        """Return what cannot be sent, and why."""
        return {item.name: item.reason for item in self._found.unsendable}

    async def _send_all(self, left: Selection, probe: Collection[str]) -> None:
        """Send data, then markers: when these appear, nothing of the run may be missing, or be newer on the disk."""
        failures = self._recorder.failures
        for round_number in range(ROUNDS):
            data, markers = self._parted(left)
            await self._sender.send(data, () if round_number else probe, urgent=bool(round_number))
            if not failures:
                lost_markers = await self._prove([file.name for file in markers])
            if failures:
                break
            if markers or lost_markers:
                left = await self._look_again()
                if not failures and self._parted(left)[0]:
                    continue
            await self._send_manifest()
            if not failures and (markers or lost_markers):
                await self._send_markers(left, probe)
            break
        else:
            failures[""] = "its files are still being written although its marker is there: the marker waits"
            log.error("%s: %s", printable(self._row.run_id), failures[""])
        if self._sender.may_go_on() and not failures and self._sender.sent_parts:
            await self._unless_stopped(self._reconciler.abort_strays())

    def _parted(self, left: Selection) -> tuple[Selection, Selection]:
        """Return data and markers."""
        return left.parted(frozenset(self._markers.rows(self._found.files)))

    async def _prove(self, unsent: Collection[str]) -> bool:
        """All but the markers named in ``unsent`` is recorded: see that S3 has it so.

        Returns whether markers that were sent before have to be sent again.
        """
        if not self._sender.may_go_on():
            self._recorder.failures[""] = "stopped before it was verified"
            return False
        if not self._verify:
            return False
        self._watch.verifying()
        return await self._verify_and_mend(unsent)

    async def _look_again(self) -> Selection:
        """Look through the folder once more: what is written late has to be in S3 before the marker."""
        row, root = self._row, self._found.root
        try:
            self._found = await self._unless_stopped(asyncio.to_thread(scan, root, self._exclude))
        except OSError as error:
            self._recorder.fail("", f"the folder cannot be listed: {error.strerror or error}")
            return Selection(FileTable(), ())
        self._reconciler.found = self._found
        for item in self._found.unsendable:
            self._recorder.fail(item.name, item.reason)
        row.files, row.bytes = self._found.regular_files, self._found.total_bytes
        self._state.log.total_local_files = self._found.regular_files
        return left_to_send(self._found, self._state.log)

    async def _send_manifest(self) -> None:
        """Send the manifest of all that is recorded."""
        if self._recorder.failures or self.manifest_folder is None:
            return
        row, run_log = self._row, self._state.log
        files = self._found.files
        why = await upload_manifest(
            self._coordinator,
            self._settings,
            row.bucket,
            row.prefix,
            run_log,
            [files[number].name for number in self._markers.rows(files)],
            self.manifest_folder,
            now_text(),
            run_log.instrument,
        )
        if why is not None:
            self._recorder.failures[""] = why
            log.error("%s: %s", printable(row.run_id), why)

    async def _send_markers(self, left: Sequence[LocalFile], probe: Collection[str]) -> None:
        """Send the markers, the last word of the run after the others."""
        for group in self._markers.in_turn(left):
            await self._sender.send(group, probe, urgent=True)
            if self._recorder.failures or not self._sender.may_go_on():
                return
            log.info("%s: sent %s", printable(self._row.run_id), ", ".join(printable(file.name) for file in group))

    async def _verify_and_mend(self, unsent: Collection[str]) -> bool:
        """Compare S3 with what is recorded; what differs is sent again once, and asked for once more.

        Returns whether markers are among it: these are not sent before the rest.
        """
        again, doubts = await self._unless_stopped(self._reconciler.differences(unsent))
        for doubt in doubts:
            log.error("%s; `verify --repair` sends it again", doubt)
        if doubts:
            self._row.detail = f"{plural(len(doubts), 'object')} recorded by s3_upload cannot be found so in S3"
        for file in again:
            self._state.drop(file.name)
        lost_markers = any(self._markers.include(file.name) for file in again)
        again = [file for file in again if not self._markers.include(file.name)]
        if not again:
            return lost_markers
        await self._sender.send_once(again, urgent=True)
        if not self._sender.may_go_on():
            self._recorder.failures.setdefault("", "stopped before it was verified")
        if self._recorder.failures:
            return False
        still = await self._unless_stopped(self._reconciler.still_wrong(again))
        for name, why in still.items():
            self._state.drop(name)
            self._recorder.fail(name, f"in S3 it is not what was sent: {why}")
        return lost_markers

    def _failures(self) -> dict[str, str]:
        return {name: reason for name, reason in self._recorder.failures.items() if name}

    def _note_outcome(self) -> None:
        """Write the outcome to disk."""
        # a failure to verify or to ask S3 has no file: the run is then not completed all the same
        without_file = [""] if "" in self._recorder.failures else []
        self._state.finish(chain(without_file, self._found.names()), self._failures(), now_text())

    def _note_in_row(self) -> None:
        row, sender, run_id = self._row, self._sender, printable(self._row.run_id)
        row.failed_files = [(os.path.join(self._found.root, name), why) for name, why in self._failures().items()]
        if self._state.log.completed:
            row.state = "uploaded"
            log.info("%s: uploaded", run_id)
            return
        row.state, row.reason = "partial", "failed_files" if row.failed_files else "partial"
        row.detail = (
            self.doom
            or self.gave_up
            or ("stopped before the end" if self._stopped or sender.stopped else "")
            or self._recorder.failures.get("", "")
            or f"{plural(len(row.failed_files), 'file')} failed"
        )
        log.error("%s: partially uploaded, the next start goes on: %s", run_id, row.detail)
