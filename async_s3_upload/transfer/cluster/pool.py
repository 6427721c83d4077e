"""The workers of a Dask cluster as a pool: they come and go, each is examined before it gets work."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster import host
from async_s3_upload.transfer.cluster.access import for_workers
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.examiner import Examiner, Question, as_trouble
from async_s3_upload.transfer.cluster.handle import DaskHandle
from async_s3_upload.transfer.cluster.link import Link, connected
from async_s3_upload.transfer.cluster.opening import Bye, Opening, Withdrawn
from async_s3_upload.transfer.cluster.sentences import cannot_be_used, cannot_open, no_worker, worker_lost
from async_s3_upload.transfer.messages import CannotStart, Events, WorkerSettings
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.workers.pool import WorkerHandle, WorkerPool

log = logging.getLogger(__name__)

LEASE_S = 8.0
"""A session that has heard nothing for so long ends by itself."""
BELIEVED_DEAD_S = 12.0
"""So long after a worker was lost what it had in hand is given to others: its session has ended by then."""
BEAT_S = 2.0
SILENT_S = 20.0
"""A worker that has said nothing for so long is given up: it is cut off, so its session has ended with its lease, or
it is frozen."""
EXAMINED_WITHIN_S = 20.0
"""Work begins without those who took longer; they come in when they have answered."""
BAD_ENDS = 3
"""A worker whose session ended by itself so often is not used any more."""


class ClusterPool(WorkerPool):
    """Sessions on the workers of a Dask cluster, one each."""

    kind = "Dask workers"
    comes_and_goes = True

    def __init__(self, settings: WorkerSettings, link: Link) -> None:
        super().__init__(replace(settings, access=for_workers(settings.access), completes="coordinator"))
        self._link = link
        self._wanted = False
        self._examiner = Examiner(link, self.settings.access)
        self._handles: dict[str, DaskHandle] = {}
        """By address: those whose session is open, also while they are only waited for."""
        self._by_mailbox: dict[str, DaskHandle] = {}
        self._bad_ends: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._slow: set[str] = set()
        """Those that did not answer in time before: nobody waits for them again."""
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        link.on_heard = self._heard
        link.on_workers = self._came_or_went
        link.on_lost = self._lost_all

    async def prepare(self, job: Job) -> None:
        """Examine all workers for a job, and open a session on those that have none.

        Raises:
            ClusterError: there are workers, and none of them can be used.
        """
        self._wanted = True
        question = await self._examiner.note(job)
        present = self._present() if question is not None else []
        examined = [asyncio.create_task(self._examine_again(handle, question)) for handle in present if question]
        self._came_or_went()
        expected = [task for address, task in self._joining.items() if address not in self._slow]
        if examined or expected:
            await asyncio.wait([*examined, *expected], timeout=EXAMINED_WITHIN_S)
        self._slow |= set(self._joining)
        if not self._link.workers:
            log.warning("%s", no_worker(str(self._link.scheduler)))

    def grow_to(self, count: int) -> None:
        """Say so where no worker can be used: it is others that start them.

        Raises:
            ClusterError: there are workers, and none of them can be used.
        """
        known = self._link.workers
        if known and known <= self._refused and not self.workers and not self._joining and self.messages.empty():
            raise ClusterError(no_worker(str(self._link.scheduler)))

    def epitaph(self, worker: WorkerHandle) -> str:
        """Return the sentence that tells people of a worker that is gone."""
        assert isinstance(worker, DaskHandle)
        return worker_lost(worker.address, len(worker.outstanding))

    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker that is gone."""
        assert isinstance(worker, DaskHandle)
        self.workers.remove(worker)
        self.activity.gone(worker)
        if self._handles.get(worker.address) is worker:
            del self._handles[worker.address]
        self._by_mailbox.pop(worker.mailbox, None)
        worker.dead = True  # nobody is to hear of it any more
        worker.release()
        self._await_later(asyncio.create_task(worker.close(limit_s=1.0)))
        if worker.address in self._link.workers and self._wanted:
            self._came_or_went()

    async def close(self, grace_s: float, limit_s: float) -> list[tuple[WorkerHandle, Events]]:
        """End all sessions, as any pool does; the next job opens new ones."""
        self._wanted = False
        self._join_no_more()
        return await super().close(grace_s, limit_s)

    def kill_all(self) -> None:
        """End all sessions; those that cannot be reached end with their lease."""
        self._wanted = False
        self._join_no_more()
        for worker in list(self.workers):
            worker.stop(0.0)
            self.remove(worker)

    async def run(self) -> None:
        """Look who comes and goes, and let all hear that the coordinator is there, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.watch())
                group.create_task(self._beat())
        except ExceptionGroup as troubles:
            error = troubles.exceptions[0]
            log.debug("%s", error, exc_info=error)
            self._link.lose(f"{type(error).__name__}: {error}")

    async def closed(self) -> None:
        """Return when what was to be sent is sent."""
        self._join_no_more()
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _await_later(self, task: asyncio.Task[None]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _beat(self) -> None:
        while self._link.lost is None:
            await asyncio.sleep(BEAT_S)
            for handle in self._present():
                if handle.silent_s > SILENT_S:
                    log.error("worker %s has not answered for %.0f s", handle.address, handle.silent_s)
                    handle.stop(0.0)  # should it come back
                    handle.leaving = True
                    handle.ready = False
                    self._slow.add(handle.address)
                    self._believe_dead(handle)
                else:
                    handle.take_back_what_waits()
                    handle.beat()

    def _present(self) -> list[DaskHandle]:
        return [handle for handle in self._handles.values() if not handle.leaving]

    # who comes and goes

    def _came_or_went(self) -> None:
        for address in set(self._handles) - self._link.workers:
            self._lose(self._handles[address])
        self._refused &= self._link.workers
        self._slow &= self._link.workers
        if not self._wanted or self._link.lost is not None:
            return
        for address in self._link.workers - set(self._handles) - set(self._joining) - self._refused:
            self._joining[address] = asyncio.create_task(self._join(address))

    def _lose(self, handle: DaskHandle) -> None:
        """A worker is gone, or cut off: what it had in hand is tried again once it has ended for certain."""
        if not handle.leaving:
            handle.leaving = True
            handle.ready = False
            asyncio.get_running_loop().call_later(BELIEVED_DEAD_S, self._believe_dead, handle)

    def _believe_dead(self, handle: DaskHandle) -> None:
        if not handle.dead:
            handle.dead = True
            self.messages.put_nowait((handle, None))

    def _lost_all(self) -> None:
        self.lost = self._link.lost
        for handle in self._handles.values():
            handle.leaving = True
            self._believe_dead(handle)
        self.wake()

    async def _join(self, address: str) -> None:
        try:
            trouble = await self._examiner.trouble_with_newcomer(address)
            if trouble is None:
                trouble = await self._open_session(address)
            if trouble is not None:
                self._refuse(address, trouble)
        except (OSError, TimeoutError) as error:  # it went, or the scheduler did
            log.info("worker %s is gone again: %s", address, error)
        finally:
            if self._joining.get(address) is asyncio.current_task():
                del self._joining[address]
            self.wake()

    def _join_no_more(self) -> None:
        for joining in self._joining.values():
            joining.cancel()
            self._await_later(joining)
        self._joining.clear()

    async def _examine_again(self, handle: DaskHandle, question: Question) -> None:
        try:
            trouble = await self._examiner.trouble_with(handle.address, question)
        except OSError:
            return  # the scheduler tells if it is gone
        if trouble is not None:
            self._refuse(handle.address, trouble)
            handle.kill()

    async def _open_session(self, address: str) -> str | None:
        mailbox = f"{self._link.session} {next(self._numbers)}"
        handle = DaskHandle(self._link.client, address, mailbox, self._lose, self.wake)
        self._handles[address] = self._by_mailbox[mailbox] = handle
        self.workers.append(handle)
        opening = Opening(self._link.session, self._link.topic, mailbox, LEASE_S, self.settings)
        opened = False
        try:
            await handle.open_mailbox()
            trouble = as_trouble(await self._link.call(address, host.open_session, opening))
            opened = trouble is None
        finally:
            if not opened:
                self._believe_dead(handle)
        return trouble

    def _refuse(self, address: str, trouble: str) -> None:
        self._refused.add(address)
        log.error("%s", cannot_be_used(address, trouble))

    # what they say

    def _heard(self, mailbox: str, number: int, messages: list[Any]) -> None:
        handle = self._by_mailbox.get(mailbox)
        if handle is None or handle.dead:
            return  # what it had in hand is somebody else's
        address = handle.address
        if number != handle.heard + 1:
            if handle.leaving:
                return
            log.error("worker %s: what it said was lost on the way, it is told to end", address)
            handle.kill()
            return
        handle.hear(number)
        for message in messages:
            if isinstance(message, CannotStart):
                self._refuse(address, cannot_open(message.error))
            elif isinstance(message, Withdrawn):
                if (returned := handle.withdrawn(message)).files:
                    self.received(handle, returned)
            elif isinstance(message, Bye):
                if message.reason is not None:
                    self._ended_badly(address, message.reason)
                self._believe_dead(handle)
            else:
                self.received(handle, message)
                handle.ready = handle.ready and not handle.leaving

    def _ended_badly(self, address: str, reason: str) -> None:
        log.warning("worker %s ended its session: %s", address, reason)
        self._bad_ends[address] += 1
        if self._bad_ends[address] >= BAD_ENDS:
            self._refuse(address, cannot_open(reason))


@asynccontextmanager
async def open_pool(scheduler: SchedulerAddress, settings: WorkerSettings) -> AsyncIterator[ClusterPool]:
    """Connect to the scheduler; its workers are used when there is work.

    Raises:
        ClusterError: the scheduler does not answer.
    """
    async with connected(scheduler) as link:
        pool = ClusterPool(settings, link)
        running = asyncio.create_task(pool.run())
        try:
            yield pool
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await pool.closed()
