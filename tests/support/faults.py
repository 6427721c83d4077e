"""What the fault proxy can do to a request: each fault is one coroutine over an `Exchange`."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Protocol

from .s3requests import Match, Request


class Exchange(Protocol):
    """One request and its answer, as the proxy lets a fault handle it."""

    @property
    def request(self) -> Request:
        """The request's head."""
        ...

    async def read_body(self, limit: int | None = None) -> None:
        """Read and forget `limit` bytes of the body, by default all; sends 100 Continue where it is due."""
        ...

    async def forward(self, *, flip_at: int | None = None, deliver: bool = True, half: bool = False) -> None:
        """Pass request and answer on: as they are, with one bit flipped, without the answer, or with half of it.

        Half an answer ends in the middle of its body, or of its head where it has no body.
        """
        ...

    async def answer(self, status: int, code: str, headers: dict[str, str]) -> None:
        """Answer with an S3 error document; the connection ends after it if the body is not read."""
        ...

    def cut(self, *, reset: bool) -> None:
        """End the client's connection here and now, with a TCP reset or in order."""
        ...

    async def wait_for_hang_up(self) -> None:
        """Return when the client is gone. Seen only when its body was read; else it ends with the proxy."""
        ...


class Action(Protocol):
    """One thing to do with a request."""

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass it on: what happens to requests that no rule takes."""

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.forward()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer without the server, before or after reading the body; an empty code sends an empty body."""

    status: int
    code: str = ""
    after_body: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        if self.after_body:
            await exchange.read_body()
        await exchange.answer(self.status, self.code, self.headers)


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut the connection after `after_bytes` of the body (None: all of it), before any answer."""

    after_bytes: int | None = None
    reset: bool = False

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.read_body(self.after_bytes)
        exchange.cut(reset=self.reset)


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before doing `then`; nothing is read meanwhile."""

    seconds: float
    then: Action = Forward()

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await asyncio.sleep(self.seconds)
        await self.then.act(exchange)


@dataclass(frozen=True, slots=True)
class Stall:
    """Read `after_bytes` of the body (None: all of it), then neither read nor answer.

    Socket buffers swallow up to some 5 MB of a body that nobody reads.
    """

    after_bytes: int | None = None

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.read_body(self.after_bytes)
        await exchange.wait_for_hang_up()


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """Let the server do it, but cut the connection instead of delivering the answer."""

    reset: bool = False

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.forward(deliver=False)
        exchange.cut(reset=self.reset)


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """Let the server do it, and cut the connection in the middle of the answer."""

    reset: bool = False

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.forward(half=True)
        exchange.cut(reset=self.reset)


@dataclass(frozen=True, slots=True)
class StallAnswer:
    """Let the server do it, but stop in the middle of the answer, or before it."""

    half: bool = True

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.forward(half=self.half, deliver=False)
        await exchange.wait_for_hang_up()


@dataclass(slots=True, eq=False)
class Hold:
    """Wait until `release` is called, then do `then`; nothing is read meanwhile."""

    then: Action = field(default_factory=Forward)
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the requests that are held, and those that come, go on."""
        self._released.set()

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        while not self._released.is_set():
            await asyncio.sleep(0.01)
        await self.then.act(exchange)


@dataclass(frozen=True, slots=True)
class FlipByte:
    """Pass it on with the lowest bit of the body's byte at `offset` flipped."""

    offset: int = 0

    async def act(self, exchange: Exchange) -> None:
        """Handle the request to its end."""
        await exchange.forward(flip_at=self.offset)


@dataclass(slots=True, eq=False)
class Rule:
    """Do `action` with requests that `match`: not with the first `skip`, at most `times` (None: always)."""

    match: Match
    action: Action
    times: int | None = None
    skip: int = 0
    taken: int = field(default=0, init=False)
    _matched: int = field(default=0, init=False)

    def takes(self, request: Request) -> bool:
        """Say whether this rule handles the request, and count it."""
        if not self.match(request):
            return False
        self._matched += 1
        if self._matched <= self.skip or (self.times is not None and self.taken >= self.times):
            return False
        self.taken += 1
        return True
