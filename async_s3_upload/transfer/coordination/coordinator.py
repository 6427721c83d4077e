"""Sends jobs with the workers: hands out files on demand, passes on what is reported, replaces workers that die."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from async_s3_upload.errors import AwsAccessError, WorkersError
from async_s3_upload.transfer.coordination.active_job import ActiveJob, OnEvent, Refresh, Sent, as_it_is, begun
from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.dealer import Dealer
from async_s3_upload.transfer.coordination.reports import Reports
from async_s3_upload.transfer.lending import CutOffDone, Returned
from async_s3_upload.transfer.messages import (
    CannotStart,
    Events,
    FileFailed,
    FileItem,
    Note,
    Ready,
)
from async_s3_upload.transfer.plan import Job, worker_count
from async_s3_upload.transfer.workers.bandwidth import patience_s
from async_s3_upload.transfer.workers.pool import WorkerHandle, WorkerPool

__all__ = ["Coordinator", "OnEvent", "Refresh", "Sent"]

log = logging.getLogger(__name__)

STOP_GRACE_S = 3.0
DOOM_GRACE_S = 0.5
"""For so long requests in flight may end when nothing more can go to a bucket: they may have succeeded before."""
STOP_LIMIT_S = 9.0
"""After so many seconds from a request to stop, workers that are still there are killed."""
DEATHS_ALONE = 2
"""A file with which so many workers died that had nothing else in hand fails alone."""
IDLE_DEATHS = 5
"""So many workers that died in a row without one file done: something is wrong with the machine or set-up."""
GIVE_UP_S = 600.0


class Coordinator:
    """Sends jobs with workers that live as long as the coordinator; several may be under way, the first one first.

    An async context manager; the workers are gone when it closes.
    """

    def __init__(
        self, pool: WorkerPool, cores: int, give_up_s: float = GIVE_UP_S, completer: Completer | None = None
    ) -> None:
        """Give up when nothing succeeds for ``give_up_s`` and the time of a low bandwidth.

        ``completer`` ends the uploads of workers that do not complete; None: one that goes to S3 as they do.
        """
        settings = pool.settings
        self._cores = cores
        self._least_patience_s = give_up_s
        self._pool = pool
        self.activity = pool.activity
        self._dealer = Dealer(settings.limits)
        self._completer = completer or Completer(settings.limits, settings.access)
        self._completer.on_outcome = pool.wake
        self._completer.on_halved = lambda: pool.refused(None)
        pool.on_slow_down = self._completer.slow_down
        self._reports = Reports(self._dealer, self._completer)
        self._stopping = asyncio.Event()
        self._deaths: Counter[int] = Counter()
        self._lost_once: set[int] = set()
        self._idle_deaths = self._next_base = 0
        self._runner: asyncio.Task[None] | None = None

    @property
    def _give_up_s(self) -> float:
        return self._least_patience_s + patience_s(self._pool.settings, len(self._pool.workers))

    async def __aenter__(self) -> Self:
        """Nothing is started before there is work."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, softly unless an error came."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._dealer.jobs.clear()
        try:
            await self._close(grace_s=0.0 if error else STOP_GRACE_S, limit_s=1.0 if error else STOP_LIMIT_S)
        finally:
            await self._completer.close()

    def stop(self) -> None:
        """Stop soon: requests in flight end for a few seconds, ``send`` then returns."""
        self._stopping.set()
        self._pool.wake()

    async def stop_requested(self) -> None:
        """Return when ``stop`` was called."""
        await self._stopping.wait()

    async def send(
        self,
        job: Job,
        on_event: OnEvent,
        refresh: Refresh = as_it_is,
        *,
        some_succeeded: bool = False,
        on_handed_out: Callable[[], None] | None = None,
        urgent: bool = False,
    ) -> Sent:
        """Send the files of ``job``; each is reported once through ``on_event``, unless it ends before.

        Files of an earlier job that is under way come first unless this one is ``urgent``: the end of a run begun
        before. ``refresh`` gives the item anew for a file that has to be sent again because its worker died.
        ``on_handed_out`` is called once when workers have all files, and one of the run was accepted.

        Raises:
            AwsAccessError: the workers find no credentials.
            WorkersError: workers die again and again without getting anything done.
        """
        if not job.items or self._stopping.is_set():
            return Sent(stopped=self._stopping.is_set())
        await self._pool.prepare(job)
        active = begun(job, self._next_base, on_event, refresh, on_handed_out, some_succeeded=some_succeeded)
        active.workers = worker_count(active.left, job.total_bytes, self._cores)
        self._next_base += active.left
        self._reports.succeeded_at = time.monotonic()
        self._dealer.jobs.insert(0 if urgent else len(self._dealer.jobs), active)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        self._pool.wake()
        try:
            return await active.ended
        finally:
            if active in self._dealer.jobs:
                self._end(active, Sent(stopped=True))

    async def _run(self) -> None:
        """Send until no job is left; what goes wrong is raised by ``send``, for each job."""
        dealer, pool = self._dealer, self._pool
        try:
            while dealer.jobs:
                pool.grow_to(max(job.workers for job in dealer.jobs))
                dealer.deal(pool.workers)
                patience_s = self._reports.succeeded_at + self._give_up_s - time.monotonic()
                for worker, message in await pool.next_messages(patience_s):
                    self._understand(worker, message)
                self._reports.take_completed()
                self._completer.tell_counts(self.activity)
                await self._end_jobs()
        except Exception as error:
            for job in list(dealer.jobs):
                dealer.jobs.remove(job)
                if not job.ended.done():
                    job.ended.set_exception(error)

    def _end(self, job: ActiveJob, sent: Sent) -> None:
        self._dealer.forget(job)
        self._completer.cut_off(job.numbers)
        self._dealer.jobs.remove(job)
        if not job.ended.done():
            job.ended.set_result(sent)

    async def _end_jobs(self) -> None:
        """End the jobs of which nothing is left, or nothing more can be done; all of them when it is time to stop."""
        jobs = self._dealer.jobs
        for job in list(jobs):
            job.tell_handed_out()
            if not job.left:
                job.watch.at_end()
                self._end(job, Sent(job.watch.reason, None, self._stopping.is_set()))
            elif job.cut_off_by is not None or (job.watch.reason is not None and len(jobs) > 1):
                self._cut_off(job)
        gave_up = self._pool.lost
        if jobs and time.monotonic() - self._reports.succeeded_at >= self._give_up_s:
            gave_up = f"nothing succeeded for {self._give_up_s / 60:.3g} minutes"
        doomed = any(job.watch.reason is not None and job.cut_off_by is None for job in jobs)
        if jobs and (doomed or gave_up or self._stopping.is_set()):
            await self._drain(gave_up)

    def _cut_off(self, job: ActiveJob) -> None:
        """End what is under way of a doomed job, while other jobs go on."""
        if job.cut_off_by is None:
            self._dealer.forget(job)
            job.cut_off(self._pool.workers, STOP_LIMIT_S)
            self._completer.cut_off(job.numbers)
        if not job.cut_off_by:
            self._end(job, Sent(job.watch.reason))

    def _understand(self, worker: WorkerHandle, message: object) -> None:
        if isinstance(message, Events):
            worker.helped = False
            if self._reports.pass_on(worker, message.rows):
                self._idle_deaths = 0
        elif isinstance(message, Returned):
            self._dealer.returned(worker, message, self._pool.workers)
        elif isinstance(message, CutOffDone):
            self._no_longer(worker, message.first)
        elif isinstance(message, Ready):
            worker.ready = True
        elif isinstance(message, CannotStart):
            raise AwsAccessError(message.error)
        elif message is None:
            self._after_death(worker)

    def _no_longer(self, worker: WorkerHandle, first: int | None) -> None:
        """Note that a worker does nothing more for the job of these numbers, or for any that is being cut off."""
        for job in self._dealer.jobs:
            if first in (job.base, None):
                job.no_longer(worker)

    def _after_death(self, worker: WorkerHandle) -> None:
        """What a dead worker held is tried again, each file alone; it is replaced before more is handed out."""
        alone = worker.suspect
        self._pool.remove(worker)
        self._no_longer(worker, None)
        self._dealer.lost(worker)
        if self._stopping.is_set() or self._pool.lost is not None:
            return
        self._idle_deaths += not self._pool.comes_and_goes
        text = self._pool.epitaph(worker)
        if self._pool.comes_and_goes and worker.has_nothing():
            log.info("%s", text)
            return
        log.error("%s", text)
        if self._idle_deaths >= IDLE_DEATHS:
            raise WorkersError(
                f"{IDLE_DEATHS} worker processes in a row died without finishing a file: "
                "look for a lack of memory (dmesg) or a broken installation"
            )
        for job in self._dealer.jobs:
            job.on_event(Note(text))
        held = dict(worker.outstanding)
        worker.outstanding.clear()  # should more of its words arrive, they no longer count
        for number, item in held.items():
            job_of_it = self._dealer.job_of(number)
            if job_of_it is not None:
                self._try_again(job_of_it, number, item, alone=number == alone)

    def _try_again(self, job: ActiveJob, number: int, item: FileItem, *, alone: bool) -> None:
        if self._pool.comes_and_goes and number not in self._lost_once and number not in self._dealer.loans:
            self._lost_once.add(number)  # hosts are taken away or fail, and that is no file's fault
            job.put_back(job.refresh(item))
            return
        self._deaths[number] += alone
        if self._deaths[number] < DEATHS_ALONE:
            self._dealer.suspects.append((job, item))
            return
        self._idle_deaths = 0
        reason = f"{DEATHS_ALONE} worker processes died with this file alone in hand"
        job.settle(FileFailed(item.number, "file", reason))
        self._reports.succeeded_at = time.monotonic()

    async def _drain(self, gave_up: str | None) -> None:
        """End the workers, still take what they report meanwhile, and end all jobs that are there now."""
        jobs = list(self._dealer.jobs)
        self._dealer.forget_all()
        await self._close(grace_s=STOP_GRACE_S if self._stopping.is_set() else DOOM_GRACE_S, limit_s=STOP_LIMIT_S)
        for job in jobs:
            if not job.left:
                job.watch.at_end()
            if job in self._dealer.jobs:
                self._end(job, Sent(job.watch.reason, gave_up, self._stopping.is_set()))

    async def _close(self, *, grace_s: float, limit_s: float) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + limit_s
        for worker, events in await self._pool.close(grace_s, limit_s):
            self._reports.pass_on(worker, events.rows)
        await self._completer.drain(min(grace_s, max(0.0, end - clock())))
        self._reports.take_completed()
