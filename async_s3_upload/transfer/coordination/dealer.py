"""Decides which worker gets what: files of the jobs in their order, or what another worker has not begun."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.coordination.active_job import ActiveJob
from async_s3_upload.transfer.coordination.loans import Loans
from async_s3_upload.transfer.lending import GiveBack, PartFailed, PartsBack, PartShare, Returned
from async_s3_upload.transfer.messages import FileItem, Limits, PartDone, Share
from async_s3_upload.transfer.workers.pool import WorkerHandle

SHARE_MAX = 64
"""Most files of one share: small enough for an even end, large enough to be cheap."""


class Dealer:
    """Hands out the files of ``jobs``, the first one's first, biggest first.

    A worker that could do more while nothing is left to hand out gets some of what another one has not begun. Files
    with which a worker died (``suspects``) are tried alone, by a worker that has nothing else in hand.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: dict[WorkerHandle, WorkerHandle] = {}
        """Workers that are about to give something back, and for whom."""
        self.jobs: list[ActiveJob] = []
        self.suspects: deque[tuple[ActiveJob, FileItem]] = deque()
        self.loans = Loans()

    def job_of(self, number: int) -> ActiveJob | None:
        """Return the job of a file by its number in the workers; None if it has ended."""
        for job in self.jobs:
            if number in job.numbers:
                return job
        return None

    def deal(self, workers: Sequence[WorkerHandle]) -> None:
        """Give each worker that can take more shares, in turn, or ask another one for some of its own."""
        free = [worker for worker in workers if worker.ready and worker.suspect is None]
        self._try_suspect(free)
        giving = list(free)
        while giving:  # what a worker on another host has to do until it is heard of again
            giving.sort(key=lambda worker: worker.outstanding_bytes)
            giving = [worker for worker in giving if self._give_share(worker, len(workers))]
        hungry = [worker for worker in free if self._has_room(worker)]
        if hungry and not any(job.waiting for job in self.jobs):
            self._ask_others(hungry, workers)

    def _try_suspect(self, free: list[WorkerHandle]) -> None:
        """Keep a worker free for the next suspect, and give it that once it has nothing else in hand.

        Parts of a suspect that others still send are waited for: nobody else may send them then.
        """
        found = next((entry for entry in self.suspects if entry[0].base + entry[1].number not in self.loans), None)
        if found is None or not free:
            return
        alone = min(free, key=lambda worker: worker.units)
        free.remove(alone)
        if alone.has_nothing():
            self.suspects.remove(found)
            job, item = found
            alone.suspect = job.base + item.number
            alone.give(Share(job.job.bucket, (job.refresh(item),), job.job.settings, job.base))

    def _give_share(self, worker: WorkerHandle, workers: int) -> bool:
        """Give a share of each job that has something left; tells whether one was as large as shares are."""
        whole = False
        for job in self.jobs:
            if job.waiting:
                items = self._take(job, worker, workers)
                if not items:
                    break
                worker.give(Share(job.job.bucket, tuple(items), job.job.settings, job.base))
                whole = whole or len(items) == SHARE_MAX
        return whole

    def _take(self, job: ActiveJob, worker: WorkerHandle, workers: int) -> list[FileItem]:
        room = 8 * self._limits.most_at_a_time - len(worker.outstanding)
        fair = -(-job.waiting // (2 * workers))
        most = min(room, fair, SHARE_MAX)
        held, most_held = worker.outstanding_bytes, 2 * self._limits.memory_bytes
        items: list[FileItem] = []
        while len(items) < most and job.waiting and (held < most_held or not (items or worker.outstanding)):
            item = job.take()
            items.append(item)
            held += item.size
        return items

    def _has_room(self, worker: WorkerHandle) -> bool:
        """Tell whether it could have more requests in flight than it has, of whatever size."""
        memory = self._limits.memory_bytes
        most = memory - min(parts.MULTIPART_THRESHOLD, memory // 4)
        return worker.units < self._limits.concurrency and (not worker.units or worker.outstanding_bytes <= most)

    def _ask_others(self, hungry: Sequence[WorkerHandle], workers: Sequence[WorkerHandle]) -> None:
        waiting = set(self._asked.values())
        stocked = [
            other
            for other in workers
            if other.stocked and not other.helped and other.suspect is None and other not in self._asked
        ]
        stocked.sort(key=lambda other: other.weight, reverse=True)
        for worker in hungry:
            if worker in waiting:
                continue
            asked = next((other for other in stocked if other is not worker), None)
            if asked is not None:
                stocked.remove(asked)
                self._asked[asked] = worker
                asked.tell(GiveBack())

    def returned(self, worker: WorkerHandle, message: Returned, workers: Sequence[WorkerHandle]) -> None:
        """Give what a worker returned to who asked for it."""
        asker = self._asked.pop(worker, None)
        if asker is not None and (asker not in workers or asker.suspect is not None):
            asker = None
        if not message.files and not message.parts:
            worker.stocked = False
        elif asker is not None:
            asker.helped = True
        files: dict[ActiveJob, list[FileItem]] = {}
        for number in message.files:
            item, job = worker.settle(number), self.job_of(number)
            if item is not None and job is not None and job.cut_off_by is None:
                files.setdefault(job, []).append(item)
        for job, items in files.items():
            if asker is not None:
                asker.give(Share(job.job.bucket, tuple(items), job.job.settings, job.base))
            else:
                for item in reversed(items):
                    job.put_back(item)
        for share in message.parts:
            self._pass_parts(share, worker, asker)

    def _pass_parts(self, share: PartShare, lender: WorkerHandle, asker: WorkerHandle | None) -> None:
        job = self.job_of(share.item.number)
        if job is None or job.cut_off_by is not None:
            return
        owner = self.loans.owner_of(share, lender)
        lender.lent(share)
        for part in share.parts:
            self.loans.settle(share.item.number, part, lender)
        if asker is not None and asker is not owner:
            self.loans.lend(share, owner, asker)
            asker.borrowed(share)
            asker.tell(share)
        elif owner is not None:
            _send_again(owner, share)

    def part_done(self, worker: WorkerHandle, number: int, event: PartDone) -> None:
        """Note a part that was sent, and tell the owner of its upload if that is somebody else."""
        worker.part_settled(number, event.part.size)
        owner = self.loans.settle(number, event.part.number, worker)
        if owner is not None:
            owner.tell(PartsBack(number, accepted=(event.part,)))

    def part_failed(self, worker: WorkerHandle, number: int, event: PartFailed) -> None:
        """Tell the owner of an upload that a part will not be sent."""
        worker.part_settled(number, 0)
        owner = self.loans.settle(number, event.part, worker)
        if owner is not None:
            owner.tell(PartsBack(number, failed=(event,)))

    def lost(self, worker: WorkerHandle) -> None:
        """Let others go on with what a dead worker had borrowed."""
        self._asked.pop(worker, None)
        for owner, share in self.loans.lost(worker):
            _send_again(owner, share)

    def forget(self, job: ActiveJob) -> None:
        """Hand out nothing more of a job, and forget its suspects and loans."""
        job.stop_handing_out()
        self.suspects = deque(entry for entry in self.suspects if entry[0] is not job)
        self.loans.forget(job.numbers)

    def forget_all(self) -> None:
        """The same for all jobs, when all workers go."""
        for job in self.jobs:
            self.forget(job)
        self._asked.clear()


def _send_again(owner: WorkerHandle, share: PartShare) -> None:
    owner.borrowed(share)
    owner.tell(PartsBack(share.item.number, again=share.parts))
