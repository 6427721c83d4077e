"""Who holds a lock is written beside it: that keeps others out where no lock of the file system does."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.state import claim as module
from async_s3_upload.state.claim import LOOK_EVERY_S, SILENT_LOOKS, AlreadyRunning, claim
from async_s3_upload.state.holding import Holding
from async_s3_upload.state.owner import Owner, Records, decode
from async_s3_upload.state.this_host import this_process

from .owners import ELSEWHERE, beat_of, dead_process, leave

Between = Callable[[int], None]


@pytest.fixture(autouse=True)
def _nobody_was_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_followed", set())


@pytest.fixture
def lock(tmp_path: Path) -> str:
    return str(tmp_path / "s3_upload.lock")


class Clock:
    """Goes on when a contender waits, and by what a test adds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "clock", clock)
    return clock


def drive(lock: str, clock: Clock | None = None, *, between: Between = lambda number: None) -> tuple[Holding, int]:
    """Claim the lock, with ``between(number)`` in each pause; returns how many pauses there were, too."""
    taking = claim(lock, "b" * 16, patient=clock is not None)
    pauses = 0
    while True:
        try:
            pause = next(taking)
        except StopIteration as taken:
            return taken.value, pauses
        assert clock is not None, "nobody waits here"
        clock.now += pause
        pauses += 1
        between(pauses)


def owner_of(lock: str) -> Owner:
    owner = Records(lock).newest()
    assert owner is not None
    return owner


def test_the_first_writes_down_who_it_is(lock: str) -> None:
    drive(lock)
    assert owner_of(lock) == Owner(this_process(), "b" * 16)
    assert Records(lock).numbers() == [1]


def test_the_next_one_does_not_wait_and_has_the_next_number(lock: str) -> None:
    for number in (1, 2, 3):
        holding, _ = drive(lock)
        assert Records(lock).numbers() == [number]
        holding.release()
        assert not owner_of(lock).held


def test_a_process_of_this_host_that_runs_keeps_others_out_and_is_named(lock: str) -> None:
    drive(lock)
    with pytest.raises(AlreadyRunning) as error:
        drive(lock)
    assert error.value.holder == this_process()
    assert error.value.by == f" (process {os.getpid()} on host {this_process().host})"
    assert AlreadyRunning(lock).by == ""


def test_a_process_of_this_host_that_ended_without_letting_go_is_not_waited_for(lock: str) -> None:
    leave(lock, dead_process())
    drive(lock)
    assert owner_of(lock).process == this_process()


def test_a_process_of_another_host_that_let_go_is_not_waited_for(lock: str) -> None:
    leave(lock, held=False)
    drive(lock)
    assert owner_of(lock).process == this_process()


def test_a_process_of_another_host_is_at_work_when_its_record_changes(lock: str, clock: Clock) -> None:
    owner = leave(lock)
    with pytest.raises(AlreadyRunning) as error:
        drive(lock, clock, between=lambda number: beat_of(lock, owner) if number == 5 else None)
    assert error.value.holder == ELSEWHERE
    assert clock.now == 5 * LOOK_EVERY_S
    assert Records(lock).numbers() == [1]


def test_a_process_of_another_host_that_is_silent_for_a_minute_is_followed(
    lock: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave(lock)
    _, pauses = drive(lock, clock)
    assert pauses == SILENT_LOOKS
    assert clock.now == 60
    assert owner_of(lock).process == this_process()
    assert Records(lock).numbers() == [2]
    assert caplog.messages == [
        f"process 42 on host other-host did not let go of {lock}: it is awaited for 60 s whether it is at work",
        f"process 42 on host other-host gave no sign of life for 60 s and left {lock} behind: it is taken over",
    ]


def test_what_else_a_silent_process_held_is_not_waited_for_again(lock: str, clock: Clock) -> None:
    for path, pauses in ((lock, SILENT_LOOKS), (lock + "2", 0)):
        leave(path)
        assert drive(path, clock)[1] == pauses
    leave(lock + "3", replace(ELSEWHERE, pid=43))
    assert drive(lock + "3", clock)[1] == SILENT_LOOKS


def test_who_stood_still_while_it_looked_looks_anew(lock: str, clock: Clock) -> None:
    leave(lock)

    def server_hangs(number: int) -> None:
        clock.now += 300 * (number == SILENT_LOOKS - 1)

    _, pauses = drive(lock, clock, between=server_hangs)
    assert pauses == 2 * SILENT_LOOKS - 1


def test_a_process_that_lets_go_while_it_is_looked_at_is_followed_at_once(lock: str, clock: Clock) -> None:
    owner = leave(lock)
    _, pauses = drive(lock, clock, between=lambda _: beat_of(lock, replace(owner, held=False)))
    assert pauses == 1


def test_who_is_not_patient_takes_a_process_of_another_host_for_one_at_work(lock: str) -> None:
    leave(lock)
    with pytest.raises(AlreadyRunning):
        drive(lock)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"state": "held"}', Owner(ELSEWHERE, "a").encode()[:-9]])
def test_a_record_that_is_not_whole_may_be_one_that_is_being_written(
    lock: str, clock: Clock, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    owner = leave(lock)
    path = Path(Records(lock).path(1))
    path.write_bytes(data)
    with pytest.raises(AlreadyRunning) as error:
        drive(lock, clock, between=lambda number: void(path.write_bytes(owner.encode())) if number == 2 else None)
    assert error.value.holder == ELSEWHERE
    assert "an unknown process did not let go" in caplog.text

    path.write_bytes(data)
    drive(lock, clock)
    assert owner_of(lock).process == this_process()


def void(_: object) -> None:
    """Return nothing."""


@pytest.mark.parametrize("field", ["state", "token", "host", "pid"])
def test_a_record_with_something_else_in_a_field_is_none(field: str) -> None:
    whole = Owner(ELSEWHERE, "a" * 16).encode()
    value = b"42" if field == "pid" else b'"'
    assert decode(whole) is not None
    start = whole.index(f'"{field}": '.encode()) + len(field) + 4
    end = min(whole.index(b",", start), len(whole))
    assert value in whole[start:end]
    assert decode(whole[:start] + b"null" + whole[end:]) is None


def test_records_of_one_owner_have_one_length() -> None:
    owner = Owner(ELSEWHERE, "a" * 16)
    others = [replace(owner, beat=123456789), replace(owner, held=False)]
    assert {len(other.encode()) for other in others} == {len(owner.encode())}
    assert [decode(other.encode()) for other in others] == others


class Rival:
    """Another host that does something just before this one makes its record."""

    def __init__(self, lock: str, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
        create = Records.create
        left = list(steps)

        def after_the_rival(records: Records, number: int, owner: Owner) -> bool:
            monkeypatch.setattr(Records, "create", create)
            for step in left:
                step()
            return create(records, number, owner)

        monkeypatch.setattr(Records, "create", after_the_rival)


def test_of_two_that_find_the_lock_free_at_the_same_moment_one_gets_it(
    lock: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(lock, held=False)
    Rival(lock, monkeypatch, lambda: leave(lock, number=2))
    rival = Owner(ELSEWHERE, "a" * 16)
    with pytest.raises(AlreadyRunning) as error:
        drive(lock, clock, between=lambda _: beat_of(lock, rival, number=2))
    assert error.value.holder == ELSEWHERE
    assert owner_of(lock).process == ELSEWHERE


def test_who_comes_late_finds_that_others_went_on_and_withdraws(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(lock, held=False)
    records = Records(lock)
    Rival(
        lock,
        monkeypatch,
        lambda: leave(lock, number=2, held=False),
        lambda: leave(lock, number=3),
        lambda: records.remove(2),
    )
    with pytest.raises(AlreadyRunning) as error:
        drive(lock)
    assert error.value.holder == ELSEWHERE
    assert 2 not in records.numbers()


def test_a_record_that_goes_while_it_is_looked_at_is_looked_for_anew(
    lock: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(lock)
    records = Records(lock)

    def move_on(number: int) -> None:
        if number == 1:
            leave(lock, number=2, held=False)
            records.remove(1)

    drive(lock, clock, between=move_on)
    assert records.numbers() == [3]


def test_a_listing_that_stays_old_is_no_endless_search(
    lock: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Records, "numbers", lambda records: [7])
    with pytest.raises(AlreadyRunning):
        drive(lock, clock)
    with pytest.raises(AlreadyRunning):
        drive(lock)


def test_many_at_once_are_one_each_time(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "life_of", lambda process: "unknown")
    for _ in range(20):
        won: list[Holding] = []
        barrier = threading.Barrier(6)

        def contend(won: list[Holding], barrier: threading.Barrier) -> None:
            barrier.wait()
            with suppress(AlreadyRunning):
                won.append(drive(lock)[0])

        threads = [threading.Thread(target=contend, args=(won, barrier)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (holding,) = won
        assert not holding.lost
        holding.release()


def test_a_record_that_cannot_be_written_is_not_left_half(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        drive(lock)
    assert Records(lock).numbers() == []


def test_what_nfs_says_of_files_that_went_means_the_same(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*args: object, **kwargs: object) -> int:
        raise OSError(errno.ESTALE, "Stale file handle")

    owner = leave(lock)
    monkeypatch.setattr("builtins.open", stale)
    monkeypatch.setattr(os, "open", stale)
    assert Records(lock).read(1) is None
    assert not Records(lock).renew(1, owner)


def test_files_of_others_in_the_folder_are_left_alone(lock: str) -> None:
    drive(lock)[0].release()
    (Path(Records(lock).folder) / ".nfs000000000000abcd").touch()
    drive(lock)
    assert Records(lock).numbers() == [2]
    assert len(os.listdir(Records(lock).folder)) == 2
