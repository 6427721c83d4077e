"""A lock that is held is renewed; who lost it finds that out before it writes again."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from async_s3_upload.errors import LockLostError
from async_s3_upload.state import holding as module
from async_s3_upload.state.holding import DOUBT_S, LEASE_S, Holding, keep, let_go, require_held
from async_s3_upload.state.owner import Owner, Records
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.run_state import RunState, recall
from async_s3_upload.state.this_host import this_process

from .owners import leave


class Held:
    """A lock that this process holds, and its clock."""

    def __init__(self, lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module, "clock", lambda: self.now)
        self.lock = lock
        self.records = Records(lock)
        owner = Owner(this_process(), "b" * 16)
        assert self.records.create(1, owner)
        self.holding = Holding(lock, self.records, 1, owner)

    @property
    def owner(self) -> Owner:
        owner = self.records.newest()
        assert owner is not None
        return owner

    def taken_over(self) -> None:
        leave(self.lock, number=2)
        self.records.remove(1)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(str(tmp_path / "s3_upload.lock"), monkeypatch)


def test_each_renewal_changes_the_record(held: Held) -> None:
    for beat in (1, 2, 3):
        held.holding.renew()
        assert held.owner.beat == beat
        assert held.owner.held
    held.holding.release()
    assert not held.owner.held


def test_after_it_was_released_nothing_is_written(held: Held) -> None:
    held.holding.release()
    before = held.owner
    held.holding.renew()
    held.holding.release()
    assert held.owner == before


def test_who_was_followed_says_by_whom_and_leaves_the_record_alone(held: Held) -> None:
    held.taken_over()
    held.holding.renew()
    text = (
        f"process 42 on host other-host took over {held.lock} while this one stood still: "
        "this one stops, that one goes on"
    )
    with pytest.raises(LockLostError) as error:
        held.holding.require(held.now)
    assert str(error.value) == text
    assert error.value.exit_code == 3
    before = held.owner
    held.holding.renew()
    held.holding.release()
    assert held.owner == before


def test_a_follower_that_did_not_remove_the_record_yet_is_seen_too(held: Held) -> None:
    leave(held.lock, number=2)
    held.holding.renew()
    assert "took over" in held.holding.lost


def test_who_stood_still_asks_before_it_writes(held: Held) -> None:
    held.taken_over()
    held.holding.require(held.now + DOUBT_S)
    with pytest.raises(LockLostError):
        held.holding.require(held.now + DOUBT_S + 0.1)


def test_a_record_of_another_in_the_same_place_counts(held: Held) -> None:
    held.records.remove(1)
    leave(held.lock, number=1)
    held.holding.renew()
    assert "process 42 on host other-host took over" in held.holding.lost


def test_a_record_that_was_removed_ends_it(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.records.remove(1)
    held.holding.renew()
    text = f"what says that this process holds {held.lock} was removed, another one may hold it: this one stops"
    assert held.holding.lost == text


def test_who_took_over_may_be_unknown(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.taken_over()

    def unreadable(records: Records) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Records, "newest", unreadable)
    held.holding.renew()
    assert "another one may hold it" in held.holding.lost


def test_a_record_that_cannot_be_renewed_for_long_ends_it(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(records: Records, number: int, owner: Owner) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Records, "renew", broken)
    held.now += LEASE_S
    held.holding.renew()
    assert not held.holding.lost
    held.now += 1
    held.holding.renew()
    assert held.holding.lost == (
        f"that this process holds {held.lock} could not be written down for 40 s (Input/output error), "
        "another one may hold it by now: this one stops"
    )


def test_a_record_that_cannot_be_released_is_no_error(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(records: Records, number: int, owner: Owner) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Records, "renew", broken)
    held.holding.release()


def test_a_thread_renews_all_that_is_held_and_ends_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.001)
    renewed = {name: threading.Event() for name in "ab"}

    class Counted(Holding):
        def renew(self) -> None:
            super().renew()
            renewed[os.path.basename(self._lock)].set()

    kept = []
    for name in "ab":
        records, owner = Records(str(tmp_path / name)), Owner(this_process(), name * 16)
        assert records.create(1, owner)
        kept.append(Counted(str(tmp_path / name), records, 1, owner))
        keep(kept[-1])
    assert all(event.wait(30) for event in renewed.values())
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "lock-beat")
    for holding in kept:
        let_go(holding)
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def state(tmp_path: Path) -> RunState:
    for name in ("uploads", "locks"):
        (tmp_path / name).mkdir()
    identity = Identity("/seq/run_1", "bucket", "/")
    remembered = RunLogs(str(tmp_path)).find(identity)
    return RunState(recall(identity, remembered), remembered, identity, "2024-01-01T10:00:00Z")


def test_without_the_lock_neither_journal_nor_run_log_is_written(held: Held, state: RunState, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "uploads").iterdir()}
    keep(held.holding)
    try:
        held.taken_over()
        held.now += DOUBT_S + 1
        state.note("a line")
        with pytest.raises(LockLostError):
            state.flush()
        with pytest.raises(LockLostError):
            next(state.snapshot("2024-01-01T11:00:00Z"))
        with pytest.raises(LockLostError):
            state.finish([], {}, "2024-01-01T11:00:00Z")
    finally:
        let_go(held.holding)
    assert {path.name: path.read_bytes() for path in (tmp_path / "uploads").iterdir()} == before
    require_held()
