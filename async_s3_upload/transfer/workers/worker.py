"""One worker: its own event loop, its own store, its share of the files.

Shares come to it and events go from it through a channel. A process of this machine has a pipe: when that closes, the
coordinator is gone and the worker leaves; SIGINT and SIGTERM are the coordinator's business, who says Stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import DEBUG_VARIABLE
from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.engine.pacer import Pacer
from async_s3_upload.transfer.lending import (
    CutOff,
    CutOffDone,
    GiveBack,
    LendingToWorker,
    PartsBack,
    PartShare,
    PartsQueued,
)
from async_s3_upload.transfer.messages import (
    BandwidthGrant,
    CannotStart,
    Event,
    Events,
    LogLine,
    PartDone,
    Ready,
    Share,
    Stop,
    UploadBegun,
    WorkerSettings,
)
from async_s3_upload.transfer.pace import Pace
from async_s3_upload.transfer.rows import rows_of
from async_s3_upload.transfer.slowing import Halved, SlowDown
from async_s3_upload.transfer.stores.store import ObjectStore, StoreError
from async_s3_upload.transfer.workers.channel import Channel, Down, PipeChannel

log = logging.getLogger(__name__)

FLUSH_S = 0.05
"""Events are gathered for so long before they cross the pipe: a message each would cost more CPU than a PUT."""
STARVING_FLUSH_S = 0.002
"""The same while nothing more is queued: the coordinator has to hear early that there is room."""
COUNTS_EVERY_S = 0.5
"""So often it is told how many requests are in flight and were retried, where that changed."""

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]

OpenStore = Callable[[WorkerSettings, Pace | None], ObjectStore]


def open_store(settings: WorkerSettings, pace: Pace | None) -> ObjectStore:
    """Return the store of real workers, not opened yet."""
    if settings.access.transport == "aiobotocore":
        from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore

        return AiobotocoreStore(settings.access, settings.limits.most_at_a_time, pace=pace)
    from async_s3_upload.transfer.stores.lean.store import LeanStore

    return LeanStore(settings.access, settings.limits.most_at_a_time, pace=pace)


def worker_main(pipe: Pipe) -> None:
    """Entry point of the process: wait for the settings, then work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        settings = pipe.recv()
    except (EOFError, OSError):  # there was no work
        return
    worker = Worker(PipeChannel(pipe), settings, open_store)
    logger = logging.getLogger("async_s3_upload")
    logger.setLevel(settings.log_level)
    logger.handlers[:] = [worker.log_handler]  # those of the command, if it was forked from it, are its own
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the coordinator is gone
        run_loop(worker.run)


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` in an event loop of its own, uvloop's where that is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())


class Worker:
    """The life of a worker: open the store, work, leave when told or when left alone."""

    def __init__(self, channel: Channel, settings: WorkerSettings, open_store: OpenStore) -> None:
        self._channel = channel
        self._settings = settings
        self._open_store = open_store
        self._pacer = Pacer(channel.send) if settings.bandwidth is not None else None
        self._events: list[Event] = []
        self._flush_at: asyncio.TimerHandle | None = None
        self._cutting: set[asyncio.Task[None]] = set()
        self._stop: asyncio.Event
        self._grace_s = 0.0
        self._engine: Engine | None = None
        self._counts = Counts()

    @property
    def log_handler(self) -> logging.Handler:
        """What sends log records to the coordinator, from the worker's own thread."""
        return _ToCoordinator(self._emit)

    async def run(self) -> None:
        """Work until Stop arrives, or the channel ends it."""
        self._stop = asyncio.Event()
        try:
            pace = self._pacer.take if self._pacer is not None else None
            async with self._open_store(self._settings, pace) as store:
                await self._work(store)
        except StoreError as error:
            self._channel.send(CannotStart(str(error)))

    async def _work(self, store: ObjectStore) -> None:
        self._engine = working = Engine(
            store, self._settings.limits, self._emit, pacer=self._pacer, completes=self._settings.completes
        )
        working.requests.on_halved = lambda: self._channel.send(Halved())
        self._channel.listen(self._take)
        self._channel.send(Ready())
        engine = asyncio.create_task(working.run())
        stop = asyncio.create_task(self._stop.wait())
        counting = asyncio.create_task(self._tell_counts(working))
        try:
            await asyncio.wait([stop, engine], return_when=asyncio.FIRST_COMPLETED)
            working.drop_queued()
            await asyncio.wait([engine], timeout=self._grace_s)
        finally:
            self._channel.deaf()
            for task in (stop, engine, counting, *self._cutting):
                task.cancel()
            _, ended, *_ = await asyncio.gather(stop, engine, counting, *self._cutting, return_exceptions=True)
            if isinstance(ended, Exception):  # a bug: what is in hand goes to another worker, but the reason is told
                debug = os.environ.get(DEBUG_VARIABLE)
                log.error("a worker process ended by %r, see --debug", ended, exc_info=ended if debug else None)
            self._flush()
            if working.counts != self._counts:
                self._channel.send(working.counts)

    async def _tell_counts(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(COUNTS_EVERY_S)
            if (counts := engine.counts) != self._counts:
                self._counts = counts
                self._channel.send(counts)

    def _take(self, message: Down) -> None:
        engine = self._engine
        assert engine is not None
        if isinstance(message, Share):
            for item in message.items:
                engine.submit(message.bucket, item, message.settings)
        elif isinstance(message, BandwidthGrant):
            if self._pacer is not None:
                self._pacer.granted(message)
        elif isinstance(message, SlowDown):
            if engine.requests.gate.ease():
                log.debug("S3 refuses requests of others: %d at a time from now on", int(engine.requests.gate.limit))
        elif isinstance(message, Stop):
            self._grace_s = message.grace_s
            self._stop.set()
        else:
            self._lend(engine, message)

    def _lend(self, engine: Engine, message: LendingToWorker) -> None:
        if isinstance(message, GiveBack):
            self._flush()
            self._channel.send(engine.give_back())
        elif isinstance(message, PartShare):
            engine.borrow(message)
        elif isinstance(message, PartsBack):
            engine.parts_back(message)
        elif isinstance(message, CutOff):
            cutting = asyncio.create_task(self._cut_off(engine, message))
            self._cutting.add(cutting)
            cutting.add_done_callback(self._cutting.discard)

    async def _cut_off(self, engine: Engine, message: CutOff) -> None:
        await engine.cut_off(range(message.first, message.end))
        self._flush()
        self._channel.send(CutOffDone(message.first))

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        # what saves megabytes after a crash is told at once
        if isinstance(event, (PartDone, UploadBegun, PartsQueued)) or len(self._events) >= self._channel.most_events:
            self._flush()
            return
        within_s = STARVING_FLUSH_S if self._engine is None or self._engine.starving else FLUSH_S
        loop = asyncio.get_running_loop()
        if self._flush_at is not None:
            if self._flush_at.when() <= loop.time() + within_s:
                return
            self._flush_at.cancel()
        self._flush_at = loop.call_later(within_s, self._flush)

    def _flush(self) -> None:
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        if self._events:
            events, self._events = self._events, []
            self._channel.send(Events(rows_of(events)))


class _ToCoordinator(logging.Handler):
    """Sends log records to the coordinator, which writes them to console and file."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit(LogLine(record.levelno, record.name, self.format(record)))
