"""The lock that keeps two uploads apart."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from async_s3_upload.errors import LogDirError
from async_s3_upload.state import claim
from async_s3_upload.state.claim import LOOK_EVERY_S, SILENT_LOOKS
from async_s3_upload.state.lock import AlreadyRunning, exclusive, holder_of, is_held, taken
from async_s3_upload.state.owner import Records
from async_s3_upload.state.this_host import this_process

from .owners import ELSEWHERE, dead_process, leave

HOLD = """
import sys
from async_s3_upload.state.lock import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _nobody_was_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_followed", set())


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s3_upload.lock")


@contextmanager
def holder(path: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its end."""
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_can_be_taken_again_after_it_was_let_go(path: str) -> None:
    for _ in range(3):
        with exclusive(path):
            assert os.path.exists(path)


def test_the_second_is_refused_at_once(path: str) -> None:
    with exclusive(path):
        began = time.monotonic()
        with pytest.raises(AlreadyRunning), exclusive(path):
            raise AssertionError("both hold the lock")
        assert time.monotonic() - began < 0.4


def test_the_refused_one_takes_nothing_from_the_holder(path: str) -> None:
    with exclusive(path):
        for _ in range(2):
            with pytest.raises(AlreadyRunning), exclusive(path):
                pass


def test_an_error_in_the_block_lets_go_of_the_lock(path: str) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(path):
        _ = 1 / 0
    with exclusive(path):
        pass


def test_two_locks_do_not_mind_each_other(path: str) -> None:
    with exclusive(path), exclusive(path + "2"):
        pass


def test_another_process_is_kept_out_and_a_killed_one_lets_go(path: str) -> None:
    with holder(path) as process:
        with pytest.raises(AlreadyRunning), exclusive(path):
            pass
        process.kill()
        process.wait()
        with exclusive(path):
            pass


def test_the_replaced_tool_s_flock_and_ours_exclude_each_other(path: str) -> None:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(AlreadyRunning), exclusive(path):
            pass
        fcntl.flock(file, fcntl.LOCK_UN)
        with exclusive(path), pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_file_left_behind_is_no_lock(path: str) -> None:
    Path(path).write_text("12345")
    with exclusive(path):
        pass


def test_a_lock_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "s3_upload.lock"):
        with pytest.raises(LogDirError, match=f"^lock {path} cannot be opened: "), exclusive(str(path)):
            raise AssertionError("it was opened")


def test_a_lock_file_that_may_not_be_written_is_one_clear_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(LogDirError, match="cannot be opened: Permission denied"), exclusive(path):
        raise AssertionError("it was opened")


def test_whether_a_lock_is_held_is_seen_without_taking_it(path: str) -> None:
    assert not is_held(path)
    assert not os.path.exists(path)
    with exclusive(path):
        assert is_held(path)
        with pytest.raises(AlreadyRunning), exclusive(path):
            pass
    assert not is_held(path)
    with exclusive(path):
        pass


def test_who_only_looks_for_a_moment_keeps_nobody_out(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(path).touch()
    with open(path) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda seconds: fcntl.flock(looking, fcntl.LOCK_UN))
        with exclusive(path):
            pass


def test_two_who_look_at_once_do_not_take_each_other_for_the_holder(path: str) -> None:
    Path(path).touch()
    with open(path) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_held(path)


def test_who_holds_it_is_named_while_it_does(path: str) -> None:
    assert holder_of(path) is None
    with exclusive(path):
        assert holder_of(path) == this_process()
        with pytest.raises(AlreadyRunning) as error, exclusive(path):
            pass
        assert error.value.holder == this_process()
    assert holder_of(path) is None


def test_the_replaced_tool_leaves_no_name(path: str) -> None:
    leave(path, dead_process())
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_held(path)
        assert holder_of(path) is None
        with pytest.raises(AlreadyRunning) as error, exclusive(path):
            pass
        assert error.value.by == ""


def test_a_holder_on_another_host_is_shown_while_its_record_is_new_or_the_lock_reaches_here(path: str) -> None:
    leave(path)
    record = Records(path).path(1)
    assert is_held(path)
    assert holder_of(path) == ELSEWHERE
    os.utime(record, (1, 1))
    assert not is_held(path)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holder_of(path) == ELSEWHERE


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_on_a_file_system_without_locks_the_record_keeps_others_out(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with exclusive(path):
        with pytest.raises(AlreadyRunning), exclusive(path):
            pass
        assert is_held(path)
    with exclusive(path):
        pass
    assert f"{path} is on a file system without locks: only its record keeps other processes out" in caplog.messages


def test_a_lock_that_fails_otherwise_is_one_clear_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(LogDirError, match="cannot be opened: Input/output error"), exclusive(path):
        pass


def test_a_record_that_cannot_be_written_is_one_clear_error(path: str) -> None:
    Path(path + ".owner").touch()
    sentence = f"^who holds lock {path} cannot be written down: "
    with pytest.raises(LogDirError, match=sentence), exclusive(path):
        raise AssertionError("it was taken")
    assert not is_held(path)


def test_who_waits_for_another_host_pauses_and_then_has_it(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(path)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with exclusive(path):
        assert holder_of(path) == this_process()
    assert pauses == [LOOK_EVERY_S] * SILENT_LOOKS


async def test_the_event_loop_goes_on_while_another_host_is_looked_at(path: str) -> None:
    leave(path)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with await taken(path, pause):
        assert holder_of(path) == this_process()
    assert pauses == [LOOK_EVERY_S] * SILENT_LOOKS
    assert not is_held(path)


async def test_who_is_cancelled_while_it_waits_leaves_nothing_behind(path: str) -> None:
    leave(path)

    async def take() -> None:
        with await taken(path):
            raise AssertionError("it was taken")

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Records(path).numbers() == [1]
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
