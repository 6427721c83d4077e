"""HTTP/1.1 messages as they lie on the wire: heads kept byte for byte, bodies piece by piece."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE_BYTES = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Start line and headers; `raw` is what was read, with the empty line at its end."""

    raw: bytes
    start_line: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the header's value, empty where there is none; names are in lower case."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def status(self) -> int:
        """Status code of an answer's head."""
        return int(self.start_line.split(" ", 2)[1])

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.get("transfer-encoding").lower()

    @property
    def length(self) -> int | None:
        """Content-Length in bytes."""
        value = self.get("content-length")
        return int(value) if value else None

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection serves another message after this one."""
        return "HTTP/1.1" in self.start_line and self.get("connection").lower() != "close"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a body on the wire: content, or (not `content`) the framing of chunks."""

    raw: bytes
    content: bool


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Return the next head, None where the peer closed the connection between two messages."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionResetError("the peer went away in the middle of a head") from error
        return None
    lines = raw.decode("latin-1").split("\r\n")[:-2]
    fields = (line.partition(":") for line in lines[1:])
    return Head(raw, lines[0], tuple((name.strip().lower(), value.strip()) for name, _, value in fields))


async def request_body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[Piece]:
    """Yield the body of a request; raise ConnectionError where it breaks off."""
    pieces = _chunks(reader) if head.chunked else _exactly(reader, head.length or 0)
    async for piece in pieces:
        yield piece


async def answer_body(reader: asyncio.StreamReader, head: Head, method: str) -> AsyncIterator[Piece]:
    """Yield the body of an answer to `method`; without a length it ends with the connection."""
    if method == "HEAD" or head.status in (204, 304):
        return
    if head.chunked:
        pieces = _chunks(reader)
    elif head.length is not None:
        pieces = _exactly(reader, head.length)
    else:
        pieces = _until_closed(reader)
    async for piece in pieces:
        yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[Piece]:
    while size:
        raw = await reader.read(min(size, PIECE_BYTES))
        if not raw:
            raise ConnectionResetError("the peer went away in the middle of a body")
        size -= len(raw)
        yield Piece(raw, content=True)


async def _until_closed(reader: asyncio.StreamReader) -> AsyncIterator[Piece]:
    while raw := await reader.read(PIECE_BYTES):
        yield Piece(raw, content=True)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[Piece]:
    size = -1
    while size:
        line = await _line(reader)
        size = int(line.partition(b";")[0], 16)
        yield Piece(line, content=False)
        async for piece in _exactly(reader, size):
            yield piece
        if size:
            yield Piece(await _line(reader), content=False)
    line = b""
    while line != b"\r\n":  # trailers, then the empty line
        line = await _line(reader)
        yield Piece(line, content=False)


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the peer went away in the middle of a chunked body")
    return line
