"""Connections of the lean path against servers that answer early, late, oddly, or not at all."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from async_s3_upload.transfer.engine.file_body import FileBody
from async_s3_upload.transfer.engine.source import state_of
from async_s3_upload.transfer.pace import SLICE_BYTES
from async_s3_upload.transfer.stores.lean import pool as pool_module
from async_s3_upload.transfer.stores.lean.connection import ANSWER_MAX, JOINED_MAX, Answer, ConnectionLost
from async_s3_upload.transfer.stores.lean.pool import ConnectionPool
from async_s3_upload.transfer.stores.lean.route import Origin
from benchmarks.certificates import make_certificates
from tests.support.raw_server import raw_server

OK = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'
Handler = Callable[["Served"], Awaitable[None]]


class Served:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.bodies: list[bytes] = []

    async def head(self) -> int:
        """Read a request's head and return the length of its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return int(line.partition(b":")[2])
        return 0

    async def request(self) -> None:
        self.bodies.append(await self.reader.readexactly(await self.head()))

    async def answer(self, raw: bytes = OK) -> None:
        self.writer.write(raw)
        await self.writer.drain()


@asynccontextmanager
async def serving(*handlers: Handler) -> AsyncIterator[tuple[ConnectionPool, list[Served]]]:
    """A pool before a server that gives each connection, in order of arrival, to its handler; the last serves on."""
    served: list[Served] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = Served(reader, writer)
        served.append(one)
        await handlers[min(len(served), len(handlers)) - 1](one)

    async with raw_server(handle) as port:
        pool = ConnectionPool(Origin(False, "127.0.0.1", port), ssl.create_default_context)
        try:
            async with asyncio.timeout(30):
                yield pool, served
        finally:
            pool.close()


def head(size: int) -> bytes:
    return f"PUT /b/k HTTP/1.1\r\nhost: h\r\ncontent-length: {size}\r\n\r\n".encode()


async def put(pool: ConnectionPool, body: bytes = b"body") -> Answer:
    return await pool.put(head(len(body)), body)


async def serve_on(one: Served) -> None:
    while True:
        await one.request()
        await one.answer()


@pytest.mark.parametrize("size", [0, 1, JOINED_MAX, JOINED_MAX + 1, SLICE_BYTES, SLICE_BYTES + 1, 40 * SLICE_BYTES + 5])
async def test_bodies_of_all_sizes_arrive_whole_on_one_connection(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with serving(serve_on) as (pool, served):
        for _ in range(2):
            answer = await pool.put(head(size), memoryview(bytearray(body)))
            assert (answer.status, answer.headers["etag"]) == (200, '"e"')
        (one,) = served
        assert one.bodies == [body, body]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_file_is_read_while_it_is_sent_and_arrives_whole_however_slowly_it_is_taken(
    tmp_path: Path, loop: str, tls: bool
) -> None:
    """The windows are used again and again: nothing may be overwritten that the transport still holds."""
    body = random.Random(1).randbytes(48 * SLICE_BYTES + 77)  # more than sockets hold
    path = tmp_path / "run.cbcl"
    path.write_bytes(body)
    ca_file, server_file = make_certificates(str(tmp_path))
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(server_file)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        for _ in range(2):
            received = bytearray()
            while len(received) < len(body):
                received += await reader.read(100_000)
                await asyncio.sleep(0)
            bodies.append(bytes(received))
            writer.write(OK)
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")

    bodies: list[bytes] = []

    async def main() -> None:
        async with raw_server(slowly, tls=server_context if tls else None) as port:
            pool = ConnectionPool(Origin(tls, "127.0.0.1", port), lambda: ssl.create_default_context(cafile=ca_file))
            file = FileBody(str(path), state_of(str(path)), 0, len(body))
            file.open()
            for _ in range(2):
                assert (await pool.put(head(len(body)), file)).status == 200
            file.close()
            pool.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(asyncio.wait_for(main(), 60))
    assert bodies == [body, body]


async def test_requests_at_a_time_have_a_connection_each_which_are_used_again() -> None:
    async with serving(serve_on) as (pool, served):
        await asyncio.gather(*(put(pool) for _ in range(5)))
        await asyncio.gather(*(put(pool) for _ in range(5)))
        assert len(served) == 5


async def test_an_answer_that_comes_before_the_body_is_read_ends_the_sending_and_the_connection() -> None:
    async def refuse(one: Served) -> None:
        await one.head()
        await one.answer(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 4\r\n\r\nbusy")
        await asyncio.Event().wait()

    async with serving(refuse, serve_on) as (pool, served):
        body = bytes(64 * SLICE_BYTES)
        answer = await put(pool, body)
        assert (answer.status, answer.body) == (503, b"busy")
        assert (await put(pool, body)).status == 200
        assert len(served) == 2


async def test_interim_answers_are_passed_by() -> None:
    async def chatter(one: Served) -> None:
        await one.request()
        await one.answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await one.answer()

    async with serving(chatter) as (pool, _):
        assert (await put(pool)).status == 200


async def test_chunked_error_documents_are_read_whole() -> None:
    async def refuse(one: Served) -> None:
        await one.request()
        await one.answer(
            b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<Erro\r\n3\r\nr/>\r\n0\r\n\r\n"
        )

    async with serving(refuse) as (pool, _):
        answer = await put(pool)
        assert (answer.status, answer.body) == (403, b"<Error/>")


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async def refuse(one: Served) -> None:
        await one.request()
        await one.answer(b"HTTP/1.0 403 Forbidden\r\n\r\n<Error/>")

    async with serving(refuse, serve_on) as (pool, served):
        answer = await put(pool)
        assert (answer.status, answer.body) == (403, b"<Error/>")
        assert (await put(pool)).status == 200
        assert len(served) == 2


async def test_of_an_endless_answer_only_the_beginning_is_kept() -> None:
    async def flood(one: Served) -> None:
        await one.request()
        await one.answer(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % (64 * ANSWER_MAX))
        for _ in range(64):
            await one.answer(bytes(ANSWER_MAX))

    async with serving(flood) as (pool, _):
        assert len((await put(pool)).body) <= 2 * ANSWER_MAX


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_half_an_answer_is_none(raw: bytes) -> None:
    async def hang_up(one: Served) -> None:
        await one.request()
        await one.answer(raw)

    async with serving(hang_up) as (pool, _):
        with pytest.raises(ConnectionLost, match="the server closed the connection"):
            await put(pool)


async def test_what_is_no_http_is_an_error() -> None:
    async def nonsense(one: Served) -> None:
        await one.request()
        await one.answer(b"220 smtp.lab ESMTP\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(nonsense) as (pool, _):
        with pytest.raises(ConnectionLost, match="the server's answer is no HTTP: "):
            await put(pool)


async def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced_at_once() -> None:
    async def answer_once_and_cut_the_next(one: Served) -> None:
        await one.request()
        await one.answer()
        await one.head()

    async with serving(answer_once_and_cut_the_next, serve_on) as (pool, served):
        await put(pool)
        assert (await put(pool)).status == 200
        assert [len(one.bodies) for one in served] == [1, 1]


async def test_a_fresh_connection_that_is_cut_is_an_error_at_once() -> None:
    async def cut(one: Served) -> None:
        await one.head()

    async with serving(cut) as (pool, served):
        with pytest.raises(ConnectionLost):
            await put(pool)
        assert len(served) == 1


async def test_an_answer_cut_in_the_middle_is_not_asked_for_again() -> None:
    async def cut(one: Served) -> None:
        await one.request()
        await one.answer()
        await one.request()
        await one.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")

    async with serving(cut) as (pool, served):
        await put(pool)
        with pytest.raises(ConnectionLost):
            await put(pool)
        assert len(served) == 1


async def test_a_cancelled_request_takes_its_connection_along() -> None:
    begun = asyncio.Event()

    async def stall(one: Served) -> None:
        await one.head()
        begun.set()
        await one.reader.read()  # until the client is gone

    async with serving(stall, serve_on) as (pool, served):
        task = asyncio.create_task(put(pool, bytes(64 * SLICE_BYTES)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await put(pool)).status == 200
        assert len(served) == 2


async def test_each_slice_is_paced_before_it_is_sent() -> None:
    paced: list[int] = []

    async def pace(count: int) -> None:
        paced.append(count)

    async with serving(serve_on) as (pool, served):
        await pool.put(head(2 * SLICE_BYTES + 5), bytes(2 * SLICE_BYTES + 5), pace)
        await pool.put(head(7), b"7 bytes", pace)
        assert paced == [SLICE_BYTES, SLICE_BYTES, 5, 7]
        assert [len(body) for body in served[0].bodies] == [2 * SLICE_BYTES + 5, 7]


async def test_a_connection_that_was_idle_too_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(serve_on) as (pool, served):
        await put(pool)
        monkeypatch.setattr(pool_module, "IDLE_LIMIT_S", -1.0)
        await put(pool)
        assert len(served) == 2


async def test_a_server_that_does_not_take_connections_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "CONNECT_LIMIT_S", 0.05)
    pool = ConnectionPool(Origin(False, "127.0.0.1", 1), ssl.create_default_context)

    async def never(*args: object, **options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(OSError, match=r"no connection to 127\.0\.0\.1 within"):
        await put(pool)
