"""One HTTP/1.1 connection that sends PUTs, one after the other, and reads the answers.

httptools (the C parser of Node.js) reads what the server says. Flow control is the transport's: at most one
slice of a body lies in its buffer beside what the kernel took.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from async_s3_upload.transfer.engine.file_body import FileBody
from async_s3_upload.transfer.pace import SLICE_BYTES, Pace
from async_s3_upload.transfer.stores.store import Body

JOINED_MAX = 64 * 1024
"""Bodies up to so many bytes go out in one piece with their head: one system call, one TLS write."""
ANSWER_MAX = 256 * 1024
"""More of an answer's body than this is dropped: error documents are short."""


class ConnectionLost(OSError):
    """The connection ended before the answer; ``answered`` tells whether any of it had come."""

    def __init__(self, text: str, *, answered: bool = False) -> None:
        super().__init__(text)
        self.answered = answered


@dataclass(slots=True)
class Answer:
    """What the server said: ``headers`` by lower-case name."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = False


class HttpConnection(asyncio.Protocol):
    """Sends one request at a time. After any error or cancellation it is of no more use: ``abort`` it.

    ``idle_since`` is when the last answer ended (monotonic seconds).
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._answer = Answer()
        self._waiter: asyncio.Future[Answer] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._lost: ConnectionLost | None = None
        self._sending = False
        self._windows: list[memoryview] = []
        self.used = False
        self.idle_since = 0.0

    # what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits, unless the end of the connection is the end of the answer."""
        headers = self._answer.headers
        if self._answer.status >= 200 and not headers.keys() & {"content-length", "transfer-encoding"}:
            self.on_message_complete()
        self._end(f"the connection was lost: {exc}" if exc else "the server closed the connection")

    def eof_received(self) -> bool:
        """An answer may end with the connection; then let the transport close."""
        return False

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The transport's buffer is empty again."""
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._end(f"the server's answer is no HTTP: {error}")
            self._transport.abort()

    def _end(self, text: str) -> None:
        if self._lost is None:
            self._lost = ConnectionLost(text, answered=bool(self._answer.status))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._lost)
        self.resume_writing()

    # what the parser says

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the answer."""
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status."""
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep what is short enough to be an error document."""
        if len(self._answer.body) < ANSWER_MAX:
            self._answer.body += body

    def on_message_complete(self) -> None:
        """Hand the answer over; interim ones (1xx) are passed by."""
        answer = self._answer
        self._answer = Answer()
        if answer.status < 200:
            return
        answer.keep_alive = self._parser.should_keep_alive()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)
            self.resume_writing()  # an answer that comes early ends the sending
        else:
            self._transport.abort()  # nobody asked

    # what the pool and the store ask for

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._lost is None and not self._sending and not self._transport.is_closing()

    async def put(self, head: bytes, body: Body, pace: Pace | None = None) -> Answer:
        """Send a request and return its answer; ``body`` must stay as it is until then.

        An answer that comes before the body has gone out is returned too, with ``keep_alive`` False.

        Raises:
            ConnectionLost: there was no whole answer.
        """
        if self._lost is not None:
            raise self._lost
        self._waiter = waiter = self._loop.create_future()
        self._sending = True
        try:
            whole = await self._send(head, body, pace, waiter)
            answer: Answer = await waiter
        except BaseException:
            waiter.cancel()  # else its later failure would be one that nobody asked for
            raise
        self._sending = False
        self._waiter = None
        self.used = True
        self.idle_since = time.monotonic()
        if not whole:
            answer.keep_alive = False
        return answer

    async def _send(self, head: bytes, body: Body, pace: Pace | None, waiter: asyncio.Future[Answer]) -> bool:
        """Hand over head and body; returns False where the answer came before the end."""
        write = self._transport.write
        size = len(body)
        if isinstance(body, FileBody):
            write(head)
            return await self._stream(body, pace, waiter)
        if size <= JOINED_MAX and pace is None:
            write(head + body)
            return True
        write(head)
        view = memoryview(body)
        for start in range(0, size, SLICE_BYTES):
            piece = view[start : start + SLICE_BYTES]
            if pace is not None:
                await pace(len(piece))
            if self._writable is not None:
                await self._writable
            if waiter.done():
                return False
            write(piece)
        if self._writable is not None and size > SLICE_BYTES:
            await self._writable
        return not waiter.done() or self._transport.get_write_buffer_size() == 0

    async def _stream(self, body: FileBody, pace: Pace | None, waiter: asyncio.Future[Answer]) -> bool:
        """Hand over a body window by window.

        Two windows in turn: the transport may still hold the end of the one that it was given last, but no more
        than its high-water mark, which is less than a window.
        """
        if not self._windows:
            self._windows = [memoryview(bytearray(SLICE_BYTES)) for _ in range(2)]
        for number, start in enumerate(range(0, body.size, SLICE_BYTES)):
            piece = self._windows[number % 2][: body.size - start]
            if pace is not None:
                await pace(len(piece))
            if self._writable is not None:
                await self._writable
            await body.read(piece, start)
            if waiter.done():
                return False
            self._transport.write(piece)
        if self._writable is not None:
            await self._writable
        return not waiter.done() or self._transport.get_write_buffer_size() == 0

    def abort(self) -> None:
        """Close at once; what lies in buffers is dropped."""
        self._transport.abort()
