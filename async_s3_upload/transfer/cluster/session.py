"""One command's work on this Dask worker: a thread whose event loop runs the very worker that local processes run.

The Dask worker's own loop only passes messages on, so it answers the scheduler however busy the session is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import AwsAccessError
from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.cluster.access import access_on_worker
from async_s3_upload.transfer.cluster.arrivals import Arrivals
from async_s3_upload.transfer.cluster.opening import Bye, Opening, Withdraw, Withdrawn
from async_s3_upload.transfer.cluster.shares import Shares
from async_s3_upload.transfer.lending import GiveBack
from async_s3_upload.transfer.messages import CannotStart, Events, Share, Stop
from async_s3_upload.transfer.workers.channel import Down, Up
from async_s3_upload.transfer.workers.worker import OpenStore, Worker, open_store, run_loop

if TYPE_CHECKING:
    import distributed

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
GATHER_S = 0.1
GATHER_EVENTS = 24
"""Events wait for others for so long, or until they are so many. What a worker that dies did meanwhile is done again,
and that is to be less than a share."""
RETRY_S = 0.25
"""After so long the mailbox is asked again when the scheduler did not answer."""


class Session:
    """Takes shares and messages from the Dask worker's threads, and sends through its connection to the scheduler."""

    most_events = GATHER_EVENTS // 3

    def __init__(self, opening: Opening, dask_worker: distributed.Worker, store: OpenStore = open_store) -> None:
        self.opening = opening
        self._dask = dask_worker
        self._open_store = store
        self._shares = Shares()
        self._lock = threading.Lock()
        self._early: list[Down] = []
        self._arrivals = Arrivals()
        """Messages that wait until so many shares have come."""
        self._outbox: list[Up | Bye | Withdrawn] = []
        self._events = 0
        self._sent = 0
        self._take: Callable[[Down], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard_at = time.monotonic()
        self._ending: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"async-s3-upload {opening.session}", daemon=True)
        self._listening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin, in the Dask worker's loop."""
        self._thread.start()
        self._listening = asyncio.create_task(self._listen())

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in it."""
        return self._ended.is_set()

    def work_on(self, share: Share, number: int) -> threading.Event:
        """Take a share, in any thread; the event is set when nothing of it is left to do here."""
        left: Share | None = None
        settled = threading.Event()
        with self._lock:
            if self._arrivals.comes(number):
                left, settled = self._shares.add(share)
            if left is None or self.ended:
                settled.set()
            due = self._arrivals.due()
        for message in (left, *due):
            if message is not None:
                self._deliver(message)
        return settled

    # messages down: from the scheduler's queue, in the Dask worker's loop

    async def _listen(self) -> None:
        expected = 1
        while not self._ended.is_set():
            try:
                record = await self._dask.scheduler.queue_get(name=self.opening.mailbox, timeout=self.opening.lease_s)
            except KeyError:
                self._end("the coordinator has let go of it")
                return
            except Exception:  # a time-out, a scheduler that is gone: silence, in any case; the lease ends the session
                await asyncio.sleep(RETRY_S)
                continue
            number, given, data = record["value"]
            if number != expected:
                self._end(f"message {expected} of the coordinator was lost")
                return
            expected += 1
            self._heard_at = time.monotonic()
            for message in pickle.loads(data):  # noqa: S301 - Dask unpickles what comes this way, too
                self._hear(message, given)
            self._post(also_nothing=True)  # so that the coordinator hears that this process is alive

    def _hear(self, message: Down | Withdraw, given: int) -> None:
        due: list[Down] = []
        with self._lock:
            if isinstance(message, Withdraw):
                late = self._arrivals.withdraw(message.shares)
                due = self._arrivals.due()
            else:
                self._shares.told(message)
                # what was given before is to be given back, too
                if not (isinstance(message, GiveBack) and self._arrivals.hold(given, message)):
                    due = [message]
        if isinstance(message, Withdraw):
            self.send(Withdrawn(late))
        for each in due:
            self._deliver(each)

    def _deliver(self, message: Down) -> None:
        with self._lock:
            if self._take is None:
                self._early.append(message)
                return
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._bring, message)

    def _bring(self, message: Down) -> None:
        if self._take is not None:
            self._take(message)

    # the channel of the worker, in the thread's loop

    def listen(self, take: Callable[[Down], None]) -> None:
        """Bring what came before, and what comes."""
        with self._lock:
            early, self._early = self._early, []
            self._take = take
        for message in early:
            take(message)

    def deaf(self) -> None:
        """Bring nothing more."""
        with self._lock:
            self._take = None

    def send(self, message: Up | Bye | Withdrawn) -> None:
        """Tell the coordinator something, in this order, through the Dask worker's connection.

        Events are gathered for a moment: on its way through the scheduler a message costs as much CPU as sending 300 kB
        to S3. Whatever somebody waits for goes at once, with all that was gathered, and
        so does all when nothing is left to do.
        """
        with self._lock:
            self._shares.said(message)
            self._outbox.append(message)
            first = len(self._outbox) == 1
            self._events += len(message.rows) if isinstance(message, Events) else 0
            due = not self._shares or self._events >= GATHER_EVENTS
        if due or self._loop is None or not isinstance(message, (Events, Counts)):
            self._dask.loop.add_callback(self._post)
        elif first:
            self._loop.call_later(GATHER_S, self._dask.loop.add_callback, self._post)

    def _post(self, *, also_nothing: bool = False) -> None:
        with self._lock:
            messages, self._outbox = self._outbox, []
            self._events = 0
        if messages or also_nothing:
            self._sent += 1
            told = (self.opening.session, self.opening.mailbox, self._sent, pickle.dumps(messages))
            with contextlib.suppress(Exception):  # the connection is gone, and with it the coordinator
                self._dask.log_event(self.opening.topic, told)

    # the thread

    def _live(self) -> None:
        try:
            run_loop(self._work)
        except Exception as error:
            self._ending = self._ending or f"{type(error).__name__}: {error}"
            log.exception("the session ended")
        self._ended.set()
        with self._lock:
            self._shares.end()
        self.send(Bye(self._ending))

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        settings = self.opening.settings
        try:
            settings = replace(settings, access=access_on_worker(settings.access, os.environ))
        except AwsAccessError as error:
            self.send(CannotStart(str(error)))
            return
        worker = Worker(self, settings, self._open_store)
        with _logging_to(worker.log_handler, settings.log_level):
            working = asyncio.create_task(worker.run())
            watching = asyncio.create_task(self._watch(working))
            await asyncio.wait([working])
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if not working.cancelled():
                working.result()

    async def _watch(self, working: asyncio.Task[None]) -> None:
        """End at once when the coordinator is silent for too long: the files may be somebody else's by now."""
        while self._ending is None:
            await asyncio.sleep(min(LOOK_EVERY_S, self.opening.lease_s / 4))
            silence_s = time.monotonic() - self._heard_at
            if silence_s > self.opening.lease_s:
                self._ending = f"nothing was heard of the coordinator for {silence_s:.0f} s"
        if self._take is not None:
            self._take(Stop(0.0))
            await asyncio.wait([working], timeout=self.opening.lease_s / 4)
        working.cancel()

    def _end(self, reason: str) -> None:
        self._ending = reason


@contextlib.contextmanager
def _logging_to(handler: logging.Handler, level: int) -> Any:
    """Send what this thread logs to the coordinator; other sessions of this process have handlers of their own."""
    ours = threading.get_ident()
    handler.addFilter(lambda record: record.thread == ours)
    handler.setLevel(level)
    logger = logging.getLogger("async_s3_upload")
    logger.addHandler(handler)
    logger.setLevel(min(level, logger.level or level))
    try:
        yield
    finally:
        logger.removeHandler(handler)
