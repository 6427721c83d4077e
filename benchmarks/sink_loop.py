"""The sink's event loop: epoll, one thread, bodies dropped inside the kernel where that can be.

Written by hand because a sink has to cost as little as it can: with asyncio or uvloop every read copies
the bytes and passes some layers. Here the middle of a plain body is thrown away by ``MSG_TRUNC`` without
being copied, and the middle of a TLS body after one copy (see ``benchmarks.tls``). Linux only.
"""

import contextlib
import heapq
import select
import socket
import ssl
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from cryptography.exceptions import InvalidTag

from benchmarks.http_request import LINE_LIMIT, Request
from benchmarks.tls import HEADER_BYTES, RECORD_LIMIT, KeyLog, TlsConnection

_READ_BYTES = 1024 * 1024
_DROP_FROM = 64 * 1024  # what is shorter comes in one read with the head that follows
_DROP_BYTES = 8 * 1024 * 1024  # most that is dropped at once; the kernel holds less
_ROOM = RECORD_LIMIT + HEADER_BYTES  # before what is read, for the beginning of a record
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT


class Answers(Protocol):
    """What the requests are answered with."""

    def connected(self) -> None:
        """Count a connection."""

    def answer(self, request: Request) -> bytes:
        """Return the whole response to a request whose body has been read."""

    def refuse(self, code: str) -> bytes:
        """Return the answer to what cannot be read as a request; the connection has to go after it."""

    def is_control(self, request: Request) -> bool:
        """Say whether a request is the harness's own, which is never delayed."""


class Loop:
    """Serves one listening socket until ``stop_at`` (a file descriptor) can be read, or for ever."""

    def __init__(
        self, listener: socket.socket, answers: Answers, *, latency_seconds: float = 0.0,
        context: ssl.SSLContext | None = None, stop_at: int | None = None,
    ) -> None:  # fmt: skip
        self.answers = answers
        self.latency_seconds = latency_seconds
        self.buffer = bytearray(max(_DROP_BYTES, _ROOM + _READ_BYTES))  # one for all: its use ends at once
        self.view = memoryview(self.buffer)
        self._listener = listener
        self._context = context
        self._keys = KeyLog(context) if context else None
        self._stop_at = stop_at
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()

    def run(self) -> None:
        """Serve; returns once ``stop_at`` can be read."""
        self._listener.setblocking(False)
        self.watch(self._listener.fileno(), self._accept)
        if self._stop_at is not None:
            self._epoll.register(self._stop_at, _READ)
        while True:
            for descriptor, events in self._epoll.poll(self._wait()):
                if descriptor == self._stop_at:
                    return
                handler = self._handlers.get(descriptor)  # it may have gone in this same round
                if handler:
                    handler(events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    def later(self, call: Callable[[], None]) -> None:
        """Call after the latency."""
        heapq.heappush(self._timers, (time.monotonic() + self.latency_seconds, next(self._serial), call))

    def watch(self, descriptor: int, handler: Callable[[int], None]) -> None:
        """Call ``handler`` with the events of a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, _READ)

    def want(self, descriptor: int, *, writable: bool) -> None:
        """Say whether a watched descriptor waits to be written too."""
        self._epoll.modify(descriptor, _READ | _WRITE if writable else _READ)

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no more; has to come before it is closed."""
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def _wait(self) -> float:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1

    def _accept(self, events: int) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # nobody waits any more, or who waited has gone
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.answers.connected()
            Connection(self, accepted, self._context, self._keys)


class Connection:
    """One connection: HTTP/1.1 with keep-alive; every answer comes after its request's last byte."""

    __slots__ = ("_closing", "_head", "_loop", "_out", "_request", "_socket", "_tls")

    def __init__(
        self, loop: Loop, accepted: socket.socket, context: ssl.SSLContext | None, keys: KeyLog | None
    ) -> None:
        self._loop, self._socket = loop, accepted
        self._head = bytearray()
        self._out = bytearray()
        self._request: Request | None = None
        self._closing = False
        self._tls = TlsConnection(context, keys, self, self._write) if context and keys else None
        loop.watch(accepted.fileno(), self._ready)

    @property
    def droppable(self) -> int:
        """How many of the next bytes are of a body for certain."""
        return self._request.body.droppable if self._request else 0

    def drop(self, size: int) -> None:
        """Take that many bytes of a body, and answer where they were its last."""
        assert self._request is not None
        self._request.body.drop(size)
        if self._request.body.done:
            self._answer()

    def feed(self, data: memoryview) -> None:
        """Take what the client said; ValueError where it is no HTTP."""
        while len(data) and not self._closing:
            if self._request is None:
                data = self._read_head(data)
            if self._request is None:
                return
            data = data[self._request.body.feed(data) :]
            if self._request.body.done:
                self._answer()

    def _ready(self, events: int) -> None:
        try:
            if events & _WRITE:
                self._write(b"")
            if events & ~_WRITE and self._socket.fileno() >= 0 and not self._receive():
                self._close()
        except BlockingIOError:
            pass
        except ValueError:
            self._say(self._loop.answers.refuse("BadRequest"), close=True)
        except (OSError, InvalidTag):  # gone, or no TLS (an SSLError is an OSError)
            self._close()

    def _receive(self) -> int:
        """Read once and return how many bytes came: 0 where nothing will come any more."""
        if self._tls is not None:
            return self._receive_tls(self._tls)
        droppable = self.droppable
        if droppable >= _DROP_FROM:
            size = self._socket.recv_into(self._loop.buffer, min(droppable, _DROP_BYTES), socket.MSG_TRUNC)
            if size:
                self.drop(size)
            return size
        size = self._socket.recv_into(self._loop.buffer, _READ_BYTES)
        self.feed(self._loop.view[:size])
        return size

    def _receive_tls(self, tls: TlsConnection) -> int:
        begun = len(tls.pending)
        start = _ROOM - begun
        self._loop.view[start:_ROOM] = tls.pending
        size = self._socket.recv_into(self._loop.view[_ROOM:], _READ_BYTES)
        tls.feed(self._loop.view[start : _ROOM + size])
        return 0 if tls.closed else size

    def _read_head(self, data: memoryview) -> memoryview:
        """Gather a request's head; return what follows it, and set the request once the head is whole."""
        before = len(self._head)
        self._head += data[:LINE_LIMIT]
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) >= LINE_LIMIT:
                raise ValueError("a head without an end")
            return data[:0]
        rest = data[end + 4 - before :]
        self._request = Request(bytes(self._head[:end]))
        self._head.clear()
        if not rest and self._request.header("expect").lower() == "100-continue":
            self._say(b"HTTP/1.1 100 Continue\r\n\r\n", close=False)
        return rest

    def _answer(self) -> None:
        request, self._request = self._request, None
        assert request is not None
        loop = self._loop
        if loop.latency_seconds and not loop.answers.is_control(request):
            answer = loop.answers.answer(request)
            loop.later(lambda: self._say(answer, close=request.close))
        else:
            self._say(loop.answers.answer(request), close=request.close)

    def _say(self, data: bytes, *, close: bool) -> None:
        if self._socket.fileno() < 0:  # it went while the answer waited
            return
        self._closing = self._closing or close
        try:
            self._write(self._tls.seal(data) if self._tls else data)
        except OSError:
            self._close()

    def _write(self, data: bytes) -> None:
        """Send, keeping for later what the socket does not take; close in the end where that was asked for."""
        waited = bool(self._out)
        self._out += data
        if self._out:
            with contextlib.suppress(BlockingIOError):
                del self._out[: self._socket.send(self._out)]
        if waited != bool(self._out):
            self._loop.want(self._socket.fileno(), writable=bool(self._out))
        if self._closing and not self._out:
            self._close()

    def _close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
