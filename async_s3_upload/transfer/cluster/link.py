"""The connection to a Dask scheduler: who its workers are, what their sessions say, whether it is still there."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import distributed

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.reach import ANSWER_LIMIT_S, workers_of
from async_s3_upload.transfer.cluster.sentences import no_answer, scheduler_lost

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
COUNT_EVERY_S = 10.0
"""So often the scheduler is asked who its workers are, beside what its events say."""
EVENTS_OF_ALL = "all"
"""The topic to which a scheduler tells of workers that come and go."""

Heard = Callable[[str, int, list[Any]], None]


class Link:
    """``on_heard(mailbox, number, messages)`` and ``on_workers(addresses)`` are called in the loop."""

    def __init__(self, client: distributed.Client, scheduler: SchedulerAddress) -> None:
        self.client = client
        self.scheduler = scheduler
        self.session = uuid.uuid4().hex
        # one topic for each machine that coordinates: a scheduler keeps the last events of every topic for ever
        self.topic = f"async-s3-upload {socket.gethostname()}"
        self.workers: frozenset[str] = frozenset()
        self.lost: str | None = None
        self.on_heard: Heard = lambda _mailbox, _number, _messages: None
        self.on_workers: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self._subscribed = asyncio.Event()
        self._recount = asyncio.Event()
        self._scheduler_id: str | None = None

    async def listen(self) -> None:
        """Begin to hear; from now on nothing that a session says is missed."""
        self.client.subscribe_topic(self.topic, self._heard)
        self.client.subscribe_topic(EVENTS_OF_ALL, self._someone_came_or_went)
        while not self._subscribed.is_set():
            await self.client.log_event(self.topic, (self.session, "", 0, b""))
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._subscribed.wait()
            except TimeoutError:
                continue
        await self._count()

    async def call(self, worker: str, function: Any, *args: Any) -> Any:
        """Return what a function returns on a worker (its address), or the exception it raised there.

        Raises:
            OSError: the worker or the scheduler cannot be asked.
        """
        found = (await self.client.run(function, *args, workers=[worker], on_error="return"))[worker]
        if isinstance(found, OSError):  # the scheduler does not reach it: it goes, or has gone
            raise found
        return found

    async def leave(self) -> None:
        """Hear nothing more: a scheduler complains of those who go while it tells them something."""
        if self.client.status != "running":
            return
        for topic in (self.topic, EVENTS_OF_ALL):
            self.client.unsubscribe_topic(topic)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):  # a round trip, after which it has understood
                await self.client.scheduler.identity(n_workers=0)  # type: ignore[union-attr]

    async def watch(self) -> None:
        """Keep ``workers`` and ``lost`` as they are; returns when the scheduler was lost."""
        counting = asyncio.create_task(self._count_when_due())
        try:
            while self.client.status == "running" and not counting.done():  # noqa: ASYNC110 - a question to who is gone just waits
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
        self.lose("the connection was closed")

    async def _count_when_due(self) -> None:
        while self.lost is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(COUNT_EVERY_S):
                    await self._recount.wait()
            self._recount.clear()
            try:
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    await self._count()
            except (OSError, TimeoutError) as error:
                self.lose(str(error) or f"it did not answer within {ANSWER_LIMIT_S:.0f} s")

    def lose(self, reason: str) -> None:
        """Note that nothing more comes of the scheduler."""
        if self.lost is None:
            self.lost = scheduler_lost(reason)
            log.debug("%s", self.lost)
            self.on_lost()

    async def _count(self) -> None:
        found = await self.client.scheduler.identity(n_workers=-1)  # type: ignore[union-attr]
        if found["id"] != (self._scheduler_id or found["id"]):
            self.lose("it was started anew")
            return
        self._scheduler_id = found["id"]
        workers = frozenset(found["workers"])
        if workers != self.workers:
            self.workers = workers
            self.on_workers()

    def _someone_came_or_went(self, event: tuple[float, Any]) -> None:
        said = event[1]
        if isinstance(said, dict) and said.get("action") in ("add-worker", "remove-worker"):
            self._recount.set()

    def _heard(self, event: tuple[float, Any]) -> None:
        session, mailbox, number, data = event[1]
        if session != self.session:
            return  # of another command, or of one before
        if not mailbox:
            self._subscribed.set()
            return
        self.on_heard(mailbox, number, pickle.loads(data))  # noqa: S301 - Dask unpickles what comes this way, too


@asynccontextmanager
async def connected(scheduler: SchedulerAddress) -> AsyncIterator[Link]:
    """Connect to the scheduler for the block.

    Raises:
        ClusterError: it does not answer within ANSWER_LIMIT_S seconds.
    """
    await workers_of(scheduler)  # a client that cannot connect leaves coroutines behind
    address = scheduler.contact()
    if not log.isEnabledFor(logging.DEBUG):
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters of it is said here
    try:
        client = await distributed.Client(
            address, asynchronous=True, timeout=ANSWER_LIMIT_S, name="async-s3-upload", set_as_default=False
        )
    except (OSError, TimeoutError) as error:
        raise ClusterError(no_answer(address, ANSWER_LIMIT_S, str(error))) from error
    try:
        link = Link(client, scheduler)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await link.listen()
        except (OSError, TimeoutError) as error:
            raise ClusterError(no_answer(address, ANSWER_LIMIT_S, str(error))) from error
        yield link
    finally:
        await link.leave()
        await client.close(timeout=1)
