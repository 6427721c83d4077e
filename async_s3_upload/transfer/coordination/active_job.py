"""A job while the coordinator sends it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from async_s3_upload.transfer.coordination.doom import RIGHT_TO_PUT, RIGHT_TO_READ, DoomWatch
from async_s3_upload.transfer.lending import CutOff
from async_s3_upload.transfer.messages import FileItem, FileOutcome, TransferEvent
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.workers.pool import WorkerHandle

OnEvent = Callable[[TransferEvent], None]
Refresh = Callable[[FileItem], FileItem]


def as_it_is(item: FileItem) -> FileItem:
    """Return the item: nothing is known of what became of its upload."""
    return item


@dataclass(frozen=True, slots=True)
class Sent:
    """How a job ended.

    ``doom`` is the reason why nothing more can go to that bucket; ``gave_up`` why the whole command should
    stop although it may go on later; ``stopped`` that it was asked to stop.
    """

    doom: str | None = None
    gave_up: str | None = None
    stopped: bool = False


@dataclass(slots=True, eq=False)
class ActiveJob:
    """A job under way. In the workers its files have their numbers plus ``base``: those in ``numbers``.

    ``left`` files are not settled, ``waiting`` of them were not handed out. ``cut_off_by``: the workers that still have
    to confirm that nothing more happens to its files; None as long as it goes on.
    """

    job: Job
    base: int
    numbers: range
    on_event: OnEvent
    refresh: Refresh
    on_handed_out: Callable[[], None] | None
    watch: DoomWatch
    ended: asyncio.Future[Sent]
    left: int
    waiting: int
    fresh: Iterator[FileItem]
    workers: int = 1
    returned: deque[FileItem] = field(default_factory=deque)
    cut_off_by: set[WorkerHandle] | None = None

    def settle(self, outcome: FileOutcome) -> None:
        """Report what became of a file."""
        self.on_event(outcome)
        self.left -= 1
        self.watch.note(outcome)

    def take(self) -> FileItem:
        """Return the next file."""
        self.waiting -= 1
        return self.returned.popleft() if self.returned else next(self.fresh)

    def put_back(self, item: FileItem) -> None:
        """Take back a file that was handed out."""
        self.waiting += 1
        self.returned.appendleft(item)

    def stop_handing_out(self) -> None:
        """Hand out nothing more."""
        self.waiting = 0
        self.returned.clear()
        self.fresh = iter(())

    def cut_off(self, workers: Sequence[WorkerHandle], limit_s: float) -> None:
        """Have the workers end what is under way of it; who does not confirm that in ``limit_s`` seconds is killed."""
        self.cut_off_by = {worker for worker in workers if worker.ready}
        for worker in workers:
            worker.tell(CutOff(self.numbers.start, self.numbers.stop))
        asyncio.get_running_loop().call_later(limit_s, self._kill_who_does_not_cut_off, workers)

    def _kill_who_does_not_cut_off(self, workers: Sequence[WorkerHandle]) -> None:
        for worker in workers:
            if self.cut_off_by and worker in self.cut_off_by:
                worker.kill()

    def no_longer(self, worker: WorkerHandle) -> None:
        """Note that a worker does nothing more for it, if it is being cut off."""
        if self.cut_off_by is not None:
            self.cut_off_by.discard(worker)
            worker.forget(self.numbers)

    def tell_handed_out(self) -> None:
        """Call ``on_handed_out``, once, when nothing is left to hand out and the bucket is known to take files."""
        if self.on_handed_out is not None and not self.waiting and self.watch.some_succeeded:
            self.on_handed_out()
            self.on_handed_out = None


def begun(
    job: Job,
    base: int,
    on_event: OnEvent,
    refresh: Refresh,
    on_handed_out: Callable[[], None] | None,
    *,
    some_succeeded: bool,
) -> ActiveJob:
    """Return a job of some files, of which nothing is handed out yet."""
    only_reads = job.items[0].mode == "compare"
    watch = DoomWatch(job.bucket, some_succeeded=some_succeeded, right=RIGHT_TO_READ if only_reads else RIGHT_TO_PUT)
    ended: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
    files = len(job.items)
    return ActiveJob(
        job,
        base,
        range(base, base + files),
        on_event,
        refresh,
        on_handed_out,
        watch,
        ended,
        left=files,
        waiting=files,
        fresh=iter(job.items),
    )
