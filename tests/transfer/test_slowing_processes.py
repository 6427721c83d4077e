"""Two real worker processes, one of which S3 asks to slow down: the other one does less, too."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.lending import CutOff, CutOffDone
from async_s3_upload.transfer.messages import AwsAccess, Events, FileItem, Limits, Ready, Share, WorkerSettings
from async_s3_upload.transfer.rows import ENDS
from async_s3_upload.transfer.workers.pool import WorkerHandle
from async_s3_upload.transfer.workers.process_pool import ProcessPool
from tests.support.proxy import Answer, FaultProxy, Hold, Rule, every, on
from tests.support.s3server import REGION, S3Server

AT_ONCE = 16
FILES = 40
DEADLINE_S = 90


class NotedPool(ProcessPool):
    """Takes note of what its workers say; each was given its files alone."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self.refusals: list[WorkerHandle | None] = []
        self.said: list[tuple[WorkerHandle, object]] = []
        self.counts: dict[WorkerHandle, Counts] = {}

    def received(self, worker: WorkerHandle, message: object) -> None:
        """Take what a worker said."""
        if isinstance(message, Counts):
            self.counts[worker] = message
        if isinstance(message, Ready):
            worker.ready = True
        self.said.append((worker, message))
        super().received(worker, message)  # type: ignore[arg-type]

    def refused(self, who: WorkerHandle | None) -> None:
        """Let the others make fewer requests."""
        self.refusals.append(who)
        super().refused(who)

    def ended(self, worker: WorkerHandle) -> int:
        """Return how many files a worker is done with."""
        events = [message for who, message in self.said if who is worker and isinstance(message, Events)]
        return sum(row[0] in ENDS for message in events for row in message.rows)


async def until(happens: Callable[[], bool]) -> None:
    while not happens():
        await asyncio.sleep(0.01)


def files_of(folder: Path, name: str, base: int) -> tuple[FileItem, ...]:
    items = []
    for number in range(base, base + FILES):
        path = folder / f"{name}-{number}"
        path.write_bytes(random.Random(number).randbytes(100))
        found = path.stat()
        key = f"{name}/{number}"
        items.append(FileItem(number, str(path), key, found.st_size, found.st_mtime_ns, found.st_ino))
    return tuple(items)


async def test_one_worker_that_is_refused_has_the_other_do_less(
    moto_server: S3Server,
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]],
    bucket_name: Callable[..., str],
    tmp_path: Path,
) -> None:
    bucket = bucket_name()
    moto_server.make_bucket(bucket)
    refusal, begun, later = Hold(Answer(503, "SlowDown")), Hold(), Hold()
    proxy, server = proxy_for(
        moto_server,
        Rule(lambda request: request.key.startswith("first/"), refusal, times=1),
        Rule(on("PutObject"), begun),
    )
    access = AwsAccess(None, server.access_key, server.secret_key, endpoint_url=server.endpoint, region=REGION)
    pool = NotedPool(WorkerSettings(access, Limits(concurrency=AT_ONCE), 30))
    pool.grow_to(2)
    first, second = pool.workers

    def of_second() -> int:
        return proxy.count(lambda seen: seen.key.startswith("second/"))

    async with asyncio.timeout(DEADLINE_S):
        try:
            await until(lambda: first.ready and second.ready)
            first.give(Share(bucket, files_of(tmp_path, "first", 0)))
            second.give(Share(bucket, files_of(tmp_path, "second", FILES)))
            await until(lambda: proxy.count() == 2 * AT_ONCE)

            refusal.release()
            await until(lambda: bool(pool.refusals))
            second.tell(CutOff(1000, 1001))  # its answer says that what was told before has come
            await until(lambda: any(who is second and isinstance(said, CutOffDone) for who, said in pool.said))
            proxy.rules.insert(0, Rule(every, later))
            begun.release()
            await until(lambda: pool.ended(second) == AT_ONCE)
            # of 16 at a time 12 were left, and 16 successes make 13 of them
            await until(lambda: pool.counts.get(second) == Counts(in_flight=13))
            await until(lambda: of_second() >= AT_ONCE + 13)

            assert pool.refusals == [first], "who was only told says nothing"
            assert of_second() == AT_ONCE + 13
        finally:
            later.release()
            pool.kill_all()
