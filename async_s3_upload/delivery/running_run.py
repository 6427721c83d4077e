"""Uploads what is finished of a run that the instrument still writes: data only, nothing is proved, no marker."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from async_s3_upload.delivery.recording import now_text
from async_s3_upload.delivery.remaining import left_to_send
from async_s3_upload.delivery.run_upload import RunUpload
from async_s3_upload.runs.file_table import Selection
from async_s3_upload.runs.ripe import Ripe, ripe_files
from async_s3_upload.state.run_state import Recalled
from async_s3_upload.text import printable, size_text

log = logging.getLogger(__name__)


class RunningRun(RunUpload):
    """A run in progress.

    What fails now is only logged: files of a run that goes on are renamed, rewritten and removed. When the run is
    complete, all of it is compared, sent and proved as with any other run.
    """

    min_file_age_s: float
    """Seconds since its last change after which a file is taken for finished."""
    _ripe: Ripe

    def _left(self, recalled: Recalled, resend: Collection[str]) -> Selection:
        self._ripe = ripe_files(self._found.files, time.time(), self.min_file_age_s, self._markers.include)
        return left_to_send(self._found, recalled.log, resend).both(self._ripe.files)

    def _has_nothing_to_do(self, recalled: Recalled, left: Selection) -> bool:
        if left:
            return False
        row = self._row
        row.detail = self._ripe.waiting_text
        log.info("%s: in progress, nothing new to send; %s", printable(row.run_id), row.detail)
        return True

    def _unsendable(self) -> dict[str, str]:
        return {}  # the run is not all there yet

    async def _send_all(self, left: Selection, probe: Collection[str]) -> None:
        await self._sender.send_once(left, probe, urgent=False)

    def _note_outcome(self) -> None:
        row, recorder = self._row, self._recorder
        for name, why in recorder.failures.items():
            if name and name not in recorder.changed:
                log.warning("%s: %s waits for the next round: %s", printable(row.run_id), printable(name), why)
        self._state.finish([""], {}, now_text())  # a name that no file has: it is not completed

    def _note_in_row(self) -> None:
        row, recorder = self._row, self._recorder
        row.detail = (
            self.doom
            or self.gave_up
            or f"sent {size_text(recorder.sent_bytes)} of the run while it is written; {self._ripe.waiting_text}"
        )
        log.info("%s: in progress: %s", printable(row.run_id), row.detail)
