"""Reading local files for sending, and noticing when one changes meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.engine import checksum, source
from async_s3_upload.transfer.engine.source import (
    SLOW_READ_S,
    FileState,
    SmallFiles,
    SourceError,
    check_unchanged,
    fill,
    state_of,
)

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "s.bcl"
    file.write_bytes(CONTENT)
    return str(file)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def read_range(path: str, expected: FileState, offset: int, length: int) -> bytes:
    """Read into a buffer, as parts are read; the sum has to be that of the bytes."""
    buffer = bytearray(length)
    crc = await fill(memoryview(buffer), path, expected, offset)
    assert crc == checksum.crc_of(buffer)
    return bytes(buffer)


async def read_small(path: str, state: FileState | None = None) -> bytes:
    """Read as small files are read: whole, in the state they were planned in."""
    state = state or state_of(path)
    found = await SmallFiles().read(path, (state.size, state.mtime_ns, state.inode))
    assert (found.state, found.crc) == (state, checksum.crc_of(found.body))
    return found.body


def test_the_state_of_a_file_is_its_size_time_and_place(path: str) -> None:
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    found = os.stat(path)
    assert state_of(path) == FileState(1024, 1_700_000_000_123_456_789, found.st_ino, found.st_dev)


def test_a_link_has_the_state_of_its_file(path: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    assert state_of(str(tmp_path / "link")) == state_of(path)


def test_a_file_that_is_gone_has_no_state(path: str) -> None:
    os.unlink(path)
    with pytest.raises(SourceError, match="the file cannot be read: No such file or directory"):
        state_of(path)


def test_what_is_no_regular_file_has_no_state(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is no regular file any more"):
        state_of(str(tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 1024), st.integers(0, 1024))
async def test_any_range_of_a_file_is_read_exactly(path: str, start: int, end: int) -> None:
    start, end = min(start, end), max(start, end)
    assert await read_range(path, state_of(path), start, end - start) == CONTENT[start:end]


@pytest.mark.parametrize(("length", "in_thread"), [(100, False), (101, True)])
async def test_only_large_ranges_are_read_in_a_thread(
    path: str, monkeypatch: pytest.MonkeyPatch, length: int, in_thread: bool
) -> None:
    readers: list[int] = []
    real = os.preadv

    def preadv(descriptor: int, views: list[memoryview], offset: int) -> int:
        readers.append(threading.get_ident())
        return real(descriptor, views, offset)

    monkeypatch.setattr(source, "THREAD_FROM", 100)
    monkeypatch.setattr(os, "preadv", preadv)
    assert await read_range(path, state_of(path), 10, length) == CONTENT[10 : 10 + length]
    assert [reader != threading.get_ident() for reader in readers] == [in_thread]


async def test_short_reads_are_put_together(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, real_v = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda descriptor, count, offset: real(descriptor, min(count, 7), offset))
    monkeypatch.setattr(os, "preadv", lambda descriptor, views, offset: real_v(descriptor, [views[0][:7]], offset))
    assert await read_range(path, state_of(path), 3, 1000) == CONTENT[3:1003]
    assert await read_small(path) == CONTENT


async def test_a_small_file_that_is_no_longer_as_planned_is_not_sent(path: str) -> None:
    before = state_of(path)
    assert await read_small(path) == CONTENT
    with open(path, "ab") as file:
        file.write(b"more")
    with pytest.raises(SourceError, match="the file changed since the run was looked through"):
        await read_small(path, before)


async def test_a_small_file_truncated_while_it_is_read_is_not_sent(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda descriptor, count, offset: CONTENT[:100])
    monkeypatch.setattr(os, "preadv", lambda descriptor, views, offset: 0)
    with pytest.raises(SourceError, match=r"truncated while it was being uploaded \(924 bytes short\)"):
        await read_small(path)


async def test_small_files_are_read_in_threads_while_the_file_system_is_slow(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[bool] = []
    real = os.pread

    def pread(descriptor: int, count: int, offset: int) -> bytes:
        readers.append(threading.current_thread() is not threading.main_thread())
        return real(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", pread)
    now, step = 0.0, 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    files = SmallFiles(clock)
    state = state_of(path)
    for seconds in (SLOW_READ_S / 2, 100 * SLOW_READ_S, SLOW_READ_S / 2):
        step = seconds
        for _ in range(200):
            await files.read(path, (state.size, state.mtime_ns, state.inode))
    assert not any(readers[:200]), "a fast file system costs no hop"
    assert all(readers[201:400])
    assert not any(readers[-50:]), "it became fast again"


async def test_a_file_shorter_than_expected_is_not_sent(path: str) -> None:
    with pytest.raises(SourceError, match=r"truncated while it was being uploaded \(6 bytes short\)"):
        await read_range(path, state_of(path), 1000, 30)


async def test_a_file_that_grew_since_is_not_sent(path: str) -> None:
    before = state_of(path)
    with open(path, "ab") as file:
        file.write(b"more")
    with pytest.raises(SourceError, match="the file changed while it was being uploaded"):
        await read_range(path, before, 0, 10)
    with pytest.raises(SourceError, match="the file changed while it was being uploaded"):
        check_unchanged(path, before)


async def test_a_file_written_again_with_the_same_size_is_not_sent(path: str) -> None:
    os.utime(path, ns=(0, 1))
    before = state_of(path)
    os.utime(path, ns=(0, 2))
    with pytest.raises(SourceError, match="changed"):
        await read_range(path, before, 0, 10)
    with pytest.raises(SourceError, match="changed"):
        check_unchanged(path, before)


async def test_a_file_replaced_by_another_of_the_same_size_and_time_is_not_sent(path: str, tmp_path: Path) -> None:
    before = state_of(path)
    (tmp_path / "new").write_bytes(CONTENT[::-1])
    os.utime(tmp_path / "new", ns=(0, before.mtime_ns))
    os.replace(tmp_path / "new", path)
    with pytest.raises(SourceError, match="changed"):
        await read_range(path, before, 0, 10)
    with pytest.raises(SourceError, match="changed"):
        check_unchanged(path, before)


def test_an_unchanged_file_passes(path: str) -> None:
    check_unchanged(path, state_of(path))


async def test_a_file_that_became_a_fifo_ends_in_an_error_not_in_waiting(path: str) -> None:
    before = state_of(path)
    os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(SourceError, match="it is no regular file any more"):
        await read_range(path, before, 0, 10)


async def test_a_file_that_may_not_be_opened_is_a_reason(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    before = state_of(path)
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(SourceError, match="the file cannot be read: Permission denied"):
        await read_range(path, before, 0, 10)


async def test_an_error_of_the_disk_is_a_reason(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(SourceError, match="the file cannot be read: Input/output error"):
        await read_small(path)
    with pytest.raises(SourceError, match="the file cannot be read: Input/output error"):
        await read_range(path, state_of(path), 0, 10)


async def test_no_file_stays_open_however_the_reading_ends(path: str) -> None:
    state = state_of(path)
    before = open_files()
    await read_range(path, state, 0, 10)
    with pytest.raises(SourceError):
        await read_range(path, state, 0, 2000)
    with pytest.raises(SourceError):
        await read_range(path, FileState(0, 0, 0, 0), 0, 10)
    assert open_files() == before
