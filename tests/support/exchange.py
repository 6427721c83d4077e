"""One request through the fault proxy: the primitives that the faults are made of, on two TCP streams."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from http import HTTPStatus

from .http_messages import CONTINUE, Head, Piece, answer_body, read_head, request_body
from .s3requests import Request

STREAM_LIMIT = 256 * 1024
LINGER_SECONDS = 2.0

Report = Callable[[int | None, int], None]


class ProxiedExchange:
    """Implements `faults.Exchange`. `reusable` says whether the connection can carry another request."""

    def __init__(
        self,
        head: Head,
        request: Request,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        upstream: tuple[str, int],
        report: Report,
    ) -> None:
        self.request = request
        self.reusable = head.keeps_alive
        self._head = head
        self._reader, self._writer = client
        self._upstream = upstream
        self._report = report
        self._body: AsyncIterator[Piece] = request_body(self._reader, head)
        self._body_read = not head.chunked and not head.length
        self._bytes = 0
        self._continue_due = "100-continue" in head.get("expect").lower()

    async def read_body(self, limit: int | None = None) -> None:
        """Read and forget `limit` bytes of the body (rounded up to a piece), all of it by default."""
        if limit == 0 or self._body_read:
            return
        if self._continue_due:
            self._writer.write(CONTINUE)
            await self._writer.drain()
        while await self._next_piece() is not None:
            if limit is not None and self._bytes >= limit:
                return

    async def forward(self, *, flip_at: int | None = None, deliver: bool = True, half: bool = False) -> None:
        """Pass request and answer on; over a new connection to the server, so none is ever stale."""
        reader, writer = await asyncio.open_connection(*self._upstream, limit=STREAM_LIMIT)
        sending = asyncio.create_task(self._send(writer, flip_at))
        answering = asyncio.create_task(self._relay_answer(reader, deliver=deliver, half=half))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()  # a client that went away: the server's answer will not come
            await answering
            # A server may answer before it has read the body; the client mostly goes on to send it.
            await asyncio.wait({sending}, timeout=LINGER_SECONDS)
        finally:
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
            writer.transport.abort()
        self.reusable = self.reusable and self._body_read

    async def answer(self, status: int, code: str, headers: dict[str, str]) -> None:
        """Answer with an S3 error document, on a connection that ends after it if the body is not read."""
        document = ""
        if code:
            message = f"<Code>{code}</Code><Message>Answered by the fault proxy</Message>"
            document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{message}<RequestId>0</RequestId></Error>'
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", "Content-Type: application/xml"]
        lines += [
            f"Content-Length: {len(document)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.reusable = self.reusable and self._body_read
        if not self.reusable:
            lines.append("Connection: close")
        self._report(status, self._bytes)  # first: who has the answer may look at once
        body = "" if self.request.method == "HEAD" else document
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        await self._writer.drain()

    def cut(self, *, reset: bool) -> None:
        """End the client's connection here and now."""
        self.reusable = False
        self._report(None, self._bytes)
        connection = self._writer.get_extra_info("socket")
        if reset and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def wait_for_hang_up(self) -> None:
        """Return when the client is gone. Seen only when its body was read; else it ends with the proxy."""
        self.reusable = False
        self._report(None, self._bytes)
        if not self._body_read:
            await asyncio.Event().wait()
        await self._reader.read(1)

    async def linger(self) -> None:
        """Let a client that is still sending read its answer: closing at once would reset the connection."""
        if self._body_read or self._writer.transport.is_closing():
            return
        with suppress(TimeoutError, OSError):
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(STREAM_LIMIT):
                    pass

    async def _next_piece(self) -> Piece | None:
        piece = await anext(self._body, None)
        if piece is None:
            self._body_read = True
        elif piece.content:
            self._bytes += len(piece.raw)
        return piece

    async def _send(self, writer: asyncio.StreamWriter, flip_at: int | None) -> None:
        writer.write(self._head.raw)
        while (piece := await self._next_piece()) is not None:
            # A server that wants no more has said why in its answer; the rest is read and forgotten.
            with suppress(ConnectionError):
                writer.write(_flipped(piece, self._bytes, flip_at))
                await writer.drain()
        self._report(None, self._bytes)

    async def _relay_answer(self, reader: asyncio.StreamReader, *, deliver: bool, half: bool) -> None:
        head = await read_head(reader)
        while head is not None and head.status < 200:
            self._writer.write(head.raw)
            head = await read_head(reader)
        if head is None:
            raise ConnectionResetError("the server closed the connection instead of answering")
        self.reusable = self.reusable and head.keeps_alive and not half
        if half:
            await self._relay_half(reader, head)
            return
        if deliver:
            self._report(head.status, self._bytes)
            self._writer.write(head.raw)
        async for piece in answer_body(reader, head, self.request.method):
            if deliver:
                self._writer.write(piece.raw)
                await self._writer.drain()

    async def _relay_half(self, reader: asyncio.StreamReader, head: Head) -> None:
        body = b"".join([piece.raw async for piece in answer_body(reader, head, self.request.method)])
        self._writer.write(head.raw + body[: len(body) // 2] if body else head.raw[: len(head.raw) // 2])
        await self._writer.drain()


def _flipped(piece: Piece, end: int, flip_at: int | None) -> bytes:
    """Return the piece, which ends at byte `end` of the content; a bit is flipped if `flip_at` lies in it."""
    start = end - len(piece.raw)
    if not piece.content or flip_at is None or not start <= flip_at < end:
        return piece.raw
    raw = bytearray(piece.raw)
    raw[flip_at - start] ^= 1
    return bytes(raw)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
