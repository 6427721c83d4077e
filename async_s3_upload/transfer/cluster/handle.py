"""The coordinator's side of a session on one Dask worker."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import distributed

from async_s3_upload.transfer.cluster.host import run_share
from async_s3_upload.transfer.messages import Share, Stop
from async_s3_upload.transfer.workers.channel import Down
from async_s3_upload.transfer.workers.pool import WorkerHandle

log = logging.getLogger(__name__)


class DaskHandle(WorkerHandle):
    """Shares go as Dask tasks to this one worker; other messages through a queue of the scheduler, in their order."""

    def __init__(
        self, client: distributed.Client, address: str, mailbox: str, gone: Callable[[DaskHandle], None]
    ) -> None:
        """``gone`` is called when the worker can do nothing more, though it has not said so."""
        super().__init__()
        self.address = address
        self.mailbox = mailbox
        self.leaving = False
        """Whether nothing more may be given: it was lost, or told to end."""
        self.heard = 0
        """Number of the last message that came."""
        self._heard_at = time.monotonic()
        self.dead = False
        """Whether the coordinator was told that it is gone."""
        self._client = client
        self._gone = gone
        self._outbox: list[Down] = []
        self._wake = asyncio.Event()
        self._shares: dict[object, distributed.Future[int]] = {}
        self._given = 0
        self._number = 0
        self._closing = False
        self._sender: asyncio.Task[None] | None = None
        self._refusal: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def open_mailbox(self) -> None:
        """Make the queue, and begin to send what is told."""
        queue = await distributed.Queue(self.mailbox, client=self._client)
        self._sender = asyncio.create_task(self._send_all(queue))

    def tell(self, message: Down) -> None:
        """Send a message."""
        if isinstance(message, Share):
            self._submit(message)
        else:
            self._outbox.append(message)
            self._wake.set()

    def beat(self) -> None:
        """Let it hear that the coordinator is there."""
        self._wake.set()

    @property
    def silent_s(self) -> float:
        """So many seconds ago it said something; it answers each beat."""
        return time.monotonic() - self._heard_at

    def hear(self, number: int) -> None:
        """Note that a message came."""
        self.heard = number
        self._heard_at = time.monotonic()

    def kill(self) -> None:
        """End the session at once; where it cannot be reached, it ends when it has heard nothing for its lease."""
        self.tell(Stop(0.0))
        self._gone(self)

    def release(self) -> None:
        """Let go of a worker that is gone."""
        self.leaving = True
        for share in self._shares.values():
            share.release()
        self._shares.clear()

    async def close(self, limit_s: float) -> None:
        """Send what is still to be sent, within ``limit_s`` seconds, and forget the queue."""
        if self._sender is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._sender], timeout=limit_s)
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)

    def _submit(self, share: Share) -> None:
        self._given += 1
        # a number of its own: what was given back may be given again, and a task that has ended is not done again
        key = f"async-s3-upload {self.mailbox} share {self._given} of {len(share.items)} files"
        future = self._client.submit(
            run_share,
            self.mailbox,
            share,
            key=key,
            workers=[self.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._shares[key] = future
        future.add_done_callback(self._ended_in_thread)

    def _ended_in_thread(self, future: distributed.Future[int]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._share_ended, future)

    def _share_ended(self, future: distributed.Future[int]) -> None:
        self._shares.pop(future.key, None)
        if future.status == "error" and not self.leaving:
            self._refusal = asyncio.create_task(self._refused(future))

    async def _refused(self, future: distributed.Future[int]) -> None:
        log.error("worker %s did not take a share: %s", self.address, await future.exception())
        self.kill()

    async def _send_all(self, queue: Any) -> None:
        try:
            while self._outbox or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                messages, self._outbox = self._outbox, []
                self._number += 1
                await queue.put((self._number, self._given, pickle.dumps(messages)))
        except OSError:
            log.debug("nothing more can be told to %s", self.address)  # the scheduler is lost, who watches it says so
        finally:
            queue.close()
