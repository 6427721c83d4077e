"""The coordinator's side of a session on one Dask worker."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import distributed

from async_s3_upload.transfer.cluster import host
from async_s3_upload.transfer.cluster.opening import Withdraw, Withdrawn
from async_s3_upload.transfer.lending import Returned
from async_s3_upload.transfer.messages import Share, Stop
from async_s3_upload.transfer.workers.channel import Down
from async_s3_upload.transfer.workers.pool import WorkerHandle

log = logging.getLogger(__name__)


OCCUPIED_S = 10.0
"""A share that has not come to its session for so long goes to another worker."""


@dataclass(slots=True)
class _Given:
    future: distributed.Future[Any]
    files: tuple[int, ...]
    at: float
    has_come: bool = False
    """Whether its session is known to have it."""


class DaskHandle(WorkerHandle):
    """Shares go as Dask tasks to this one worker; other messages through a queue of the scheduler, in their order."""

    def __init__(
        self,
        client: distributed.Client,
        address: str,
        mailbox: str,
        gone: Callable[[DaskHandle], None],
        freed: Callable[[], None],
    ) -> None:
        """``gone`` is called when the worker can do nothing more, though it has not said so.

        ``freed``: when it can take shares again.
        """
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
        self._freed = freed
        self._outbox: list[Down | Withdraw] = []
        self._wake = asyncio.Event()
        self._shares: dict[int, _Given] = {}
        self._probe: distributed.Future[Any] | None = None
        self._asked_back: tuple[int, ...] = ()
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
            share.future.release()
        self._shares.clear()
        self._probe = None

    async def close(self, limit_s: float) -> None:
        """Send what is still to be sent, within ``limit_s`` seconds, and forget the queue."""
        if self._sender is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._sender], timeout=limit_s)
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)

    def take_back_what_waits(self) -> None:
        """Withdraw the shares that wait for a thread, where other people's tasks occupy them all.

        They go to other workers. This one gets no more until a task of ours has found a thread.
        """
        if self._asked_back or self._probe is not None:
            return
        unknown = [number for number, given in self._shares.items() if not given.has_come]
        if unknown and time.monotonic() - self._shares[unknown[0]].at > OCCUPIED_S:
            self._asked_back = tuple(unknown)
            self._outbox.append(Withdraw(self._asked_back))
            self._wake.set()

    def withdrawn(self, message: Withdrawn) -> Returned:
        """Return what of the files of withdrawn shares comes back."""
        files: list[int] = []
        for number in self._asked_back:
            if number not in self._shares:
                continue
            if number in message.shares:
                given = self._shares.pop(number)
                files += given.files
                given.future.release()
            else:
                self._shares[number].has_come = True
        self._asked_back = ()
        if files:
            why = "other tasks occupy its threads; it is used again when one is free"
            log.warning("worker %s has begun no share for %.0f s: %s", self.address, OCCUPIED_S, why)
            self.ready = False
            self._probe = self._task(host.nothing, key=f"async-s3-upload {self.mailbox} after share {self._given}")
            self._probe.add_done_callback(self._ended_in_thread)
        return Returned(tuple(files), ())

    def _submit(self, share: Share) -> None:
        self._given += 1
        # a number of its own: what was given back may be given again, and a task that has ended is not done again
        key = f"async-s3-upload {self.mailbox} share {self._given} of {len(share.items)} files"
        future = self._task(host.run_share, self.mailbox, share, self._given, key=key)
        files = tuple(share.base + item.number for item in share.items)
        self._shares[self._given] = _Given(future, files, time.monotonic())
        future.add_done_callback(self._ended_in_thread)

    def _task(self, function: Callable[..., Any], *args: Any, key: str) -> distributed.Future[Any]:
        return self._client.submit(
            function, *args, key=key, workers=[self.address], allow_other_workers=False, pure=False, retries=0
        )

    def _ended_in_thread(self, future: distributed.Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._task_ended, future)

    def _task_ended(self, future: distributed.Future[Any]) -> None:
        if future is self._probe:
            self._probe = None
            self.ready = not self.leaving
            self._freed()
            return
        self._shares = {number: given for number, given in self._shares.items() if given.future is not future}
        if future.status == "error" and not self.leaving:
            self._refusal = asyncio.create_task(self._refused(future))

    async def _refused(self, future: distributed.Future[Any]) -> None:
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
