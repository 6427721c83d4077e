"""How a worker hears of its coordinator and answers it: a pipe, for a process of the same machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.lending import LendingFromWorker, LendingToWorker
from async_s3_upload.transfer.messages import BandwidthWanted, FromWorker, ToWorker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]

Down = ToWorker | LendingToWorker
Up = FromWorker | LendingFromWorker | BandwidthWanted | Counts


class Channel(Protocol):
    """Brings messages both ways, in their order."""

    most_events: int
    """When so many events have gathered they go at once."""

    def listen(self, take: Callable[[Down], None]) -> None:
        """Call ``take`` in the running loop for each message that came or comes."""

    def deaf(self) -> None:
        """Bring no more messages to the worker."""

    def send(self, message: Up) -> None:
        """Tell the coordinator something."""


class PipeChannel:
    """A pipe to the coordinator's process. When that is gone, this process ends."""

    most_events = 100

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._take: Callable[[Down], None]

    def listen(self, take: Callable[[Down], None]) -> None:
        """Call ``take`` for each message, from the running loop."""
        self._take = take
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._receive)
        # uvloop makes it non-blocking: a message that has arrived in part, or a full pipe, would be an error then
        os.set_blocking(self._pipe.fileno(), True)

    def deaf(self) -> None:
        """Read nothing more."""
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())

    def send(self, message: Up) -> None:
        """Write a message; waits while the pipe is full."""
        try:
            self._pipe.send(message)
        except OSError:  # the coordinator is gone
            os._exit(0)

    def _receive(self) -> None:
        try:
            message = self._pipe.recv()  # one at a time: the loop calls again as long as there are more
        except (EOFError, OSError):
            os._exit(0)  # the coordinator is gone: nobody is left to tell, the next start goes on
        self._take(message)
