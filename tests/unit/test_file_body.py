"""Bodies that are read while they are sent: the right bytes, of the right state, without holding them."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.engine import checksum, file_body
from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.buffers import Buffers, MiB
from async_s3_upload.transfer.engine.file_body import WINDOW, Bodies, FileBody
from async_s3_upload.transfer.engine.source import THREAD_FROM, ChangedError, SourceError, state_of

CONTENT = os.urandom(3 * WINDOW + 1000)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "s_1.bcl"
    file.write_bytes(CONTENT)
    return str(file)


async def read_through(body: FileBody) -> bytes:
    """Read it as a connection does."""
    pieces = []
    for start in range(0, len(body), WINDOW):
        view = memoryview(bytearray(min(WINDOW, len(body) - start)))
        await body.read(view, start)
        pieces.append(bytes(view))
    return b"".join(pieces)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)))
async def test_any_range_is_read_with_its_sum_and_again(path: str, start: int, end: int) -> None:
    start, end = min(start, end), max(start, end)
    body = FileBody(path, state_of(path), start, end - start)
    assert body.open() == checksum.crc_of(CONTENT[start:end])
    for _ in range(2):
        assert await read_through(body) == CONTENT[start:end]
    assert bytes(body) == CONTENT[start:end]
    body.close()


async def test_a_file_that_changed_before_is_not_opened(path: str) -> None:
    before = state_of(path)
    os.utime(path, ns=(0, 1))
    body = FileBody(path, before, 0, 10)
    with pytest.raises(ChangedError):
        body.open()
    body.close()


async def test_a_file_that_changes_between_sum_and_sending_is_noticed_at_the_next_attempt(path: str) -> None:
    body = FileBody(path, state_of(path), 0, len(CONTENT))
    body.open()
    os.utime(path, ns=(0, 1))
    with pytest.raises(ChangedError):
        await read_through(body)
    body.close()


async def test_a_file_that_is_truncated_while_it_is_sent_is_noticed(path: str) -> None:
    body = FileBody(path, state_of(path), 0, len(CONTENT))
    body.open()
    view = memoryview(bytearray(WINDOW))
    await body.read(view, 0)
    os.truncate(path, WINDOW)
    with pytest.raises(ChangedError, match="truncated"):
        await body.read(view, WINDOW)
    body.close()


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EOPNOTSUPP])
async def test_what_the_kernel_does_not_have_is_read_in_a_thread_and_said(
    path: str, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    real = os.preadv

    def preadv(descriptor: int, views: list[memoryview], offset: int, flags: int = 0) -> int:
        if flags:
            raise OSError(error, "not here")
        return real(descriptor, [views[0][:1000]], offset)

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr(file_body, "_NOWAIT", 8)
    body = FileBody(path, state_of(path), 7, len(CONTENT) - 7)
    assert body.open() == checksum.crc_of(CONTENT[7:])
    missed = [body.missed]
    assert await read_through(body) == CONTENT[7:]
    assert [*missed, body.missed] == [False, True]
    body.close()


async def test_an_error_of_the_disk_is_a_reason(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = FileBody(path, state_of(path), 0, len(CONTENT))
    body.open()

    def broken(*_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(SourceError, match="Input/output error"):
        await read_through(body)
    body.close()


def bodies_of(*, streams: bool) -> Bodies:
    memory = ByteBudget(64 * MiB)
    return Bodies(memory, Buffers(memory, 64 * MiB), streams=streams)


@pytest.mark.parametrize(("streams", "size"), [(False, len(CONTENT)), (True, THREAD_FROM)])
async def test_stores_that_do_not_stream_and_small_bodies_get_the_bytes(path: str, streams: bool, size: int) -> None:
    async with bodies_of(streams=streams).lend(path, state_of(path), 0, size) as (body, crc):
        assert isinstance(body, memoryview)
        assert bytes(body) == CONTENT[:size]
        assert crc == checksum.crc_of(CONTENT[:size])


async def test_where_the_kernel_keeps_nothing_files_are_read_once_from_then_on(path: str) -> None:
    bodies, state = bodies_of(streams=True), state_of(path)
    async with bodies.lend(path, state, 0, len(CONTENT)) as (body, _):
        assert isinstance(body, FileBody)
        body.missed = True
    async with bodies.lend(path, state, 0, len(CONTENT)) as (body, crc):
        assert isinstance(body, memoryview)
        assert crc == checksum.crc_of(CONTENT)


async def test_no_file_stays_open(path: str) -> None:
    bodies, state = bodies_of(streams=True), state_of(path)
    before = len(os.listdir("/proc/self/fd"))
    async with bodies.lend(path, state, 0, len(CONTENT)):
        pass
    os.utime(path, ns=(0, 1))
    with pytest.raises(ChangedError):
        async with bodies.lend(path, state, 0, len(CONTENT)):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
