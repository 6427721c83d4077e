"""Uploads runs in their order; the next one is begun while the last files of the one before are on their way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from async_s3_upload.cli.signals import Interruption
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import RunTask, Uploader
from async_s3_upload.errors import Interrupted
from async_s3_upload.text import printable

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Begun:
    """A run under way. ``handed_out``: its last files are on their way, and its bucket takes files."""

    task: RunTask
    upload: asyncio.Task[RunRow]
    handed_out: asyncio.Event


class Sequel:
    """Runs that are uploaded one after the other, at most two at a time. Rows come in the order of the runs."""

    def __init__(
        self,
        uploader: Uploader,
        tasks: Sequence[RunTask],
        rows: list[RunRow],
        interruption: Interruption,
        over: asyncio.Event | None = None,
    ) -> None:
        """With ``over`` runs do not overlap, and none is begun any more once it is set."""
        self._uploader = uploader
        self._tasks = tasks
        self._rows = rows
        self._interruption = interruption
        self._over = over
        self._begun: list[_Begun] = []

    async def upload(self) -> None:
        """Upload all of them.

        Raises:
            UploadError: the command cannot go on; Interrupted after a signal. What is under way is then ended first.
        """
        try:
            for number, task in enumerate(self._tasks, 1):
                await self._make_room(task)
                reason = self._reason_to_leave(task)
                if reason:
                    await self._end_all()
                    row = task.row()
                    row.detail = "not begun: " + reason
                    self._append(row)
                    continue
                log.info("run %d of %d: %s", number, len(self._tasks), printable(task.identity.run_id))
                self._begin(task)
            await self._end_all()
        finally:
            for begun in self._begun:
                begun.upload.cancel()
            await asyncio.gather(*(begun.upload for begun in self._begun), return_exceptions=True)

    def _reason_to_leave(self, task: RunTask) -> str | None:
        if self._over is not None and self._over.is_set():
            return "max_minutes_per_tick is over, its turn comes in the next round"
        return self._uploader.gave_up or self._uploader.doomed.get(task.identity.bucket)

    def _begin(self, task: RunTask) -> None:
        handed_out = asyncio.Event()
        upload = asyncio.create_task(self._uploader.upload(task, on_handed_out=handed_out.set))
        self._begun.append(_Begun(task, upload, handed_out))

    async def _make_room(self, task: RunTask) -> None:
        """Return when ``task`` can be begun: nothing is under way, or the last files of one run, not of its name.

        Two runs of one name share locks and places in the bucket.
        """
        while self._begun:
            first = self._begun[0]
            if self._over is None and len(self._begun) == 1 and first.task.identity.run_id != task.identity.run_id:
                handed_out = asyncio.create_task(first.handed_out.wait())
                try:
                    await asyncio.wait((first.upload, handed_out), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    handed_out.cancel()
                if not first.upload.done() and self._interruption.signal_number is None:
                    return
            await self._end_first()

    async def _end_first(self) -> None:
        row = await self._begun[0].upload
        del self._begun[0]
        self._append(row)

    def _append(self, row: RunRow) -> None:
        self._rows.append(row)
        if not self._begun and self._interruption.signal_number is not None:
            raise Interrupted(self._interruption.signal_number)

    async def _end_all(self) -> None:
        while self._begun:
            await self._end_first()
