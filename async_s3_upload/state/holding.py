"""The locks that this process holds: their records are renewed, and who lost one is told before it writes again."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from async_s3_upload.errors import LockLostError
from async_s3_upload.state.owner import Owner, Records

BEAT_S = 10.0
"""So often the record of a lock is renewed."""
DOUBT_S = 20.0
"""Who could not renew it for so long asks before it writes: it may have been frozen."""
LEASE_S = 40.0
"""Who cannot renew it for so long stops. Others take it over after a minute: see ``claim``."""


def clock() -> float:
    """Return seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Holding:
    """One lock that is held by its record. ``lost`` is the sentence that says why it is not any more."""

    def __init__(self, lock: str, records: Records, number: int, owner: Owner) -> None:
        self._lock = lock
        self._records = records
        self._number = number
        self._owner = owner
        self._busy = threading.Lock()
        self._released = False
        self._renewed_at = clock()
        self.lost = ""

    def renew(self) -> None:
        """Write the record anew, or find out that it is lost."""
        with self._busy:
            if self._released or self.lost:
                return
            began = clock()
            owner = replace(self._owner, beat=self._owner.beat + 1)
            try:
                if self._records.renew(self._number, owner):
                    self._owner, self._renewed_at = owner, began
                else:
                    self.lost = self._loss()
            except OSError as error:
                if clock() - self._renewed_at > LEASE_S:
                    self.lost = (
                        f"that this process holds {self._lock} could not be written down for {LEASE_S:.0f} s "
                        f"({error.strerror or error}), another one may hold it by now: this one stops"
                    )

    def require(self, now: float) -> None:
        """Return while the lock is held, at the time ``now`` of ``clock``.

        Raises:
            LockLostError: it is not any more.
        """
        if not self.lost and now - self._renewed_at > DOUBT_S:
            self.renew()
        if self.lost:
            raise LockLostError(self.lost)

    def release(self) -> None:
        """Write down that nobody holds it. Where that cannot be written others find out that this process is gone."""
        with self._busy:
            if not self._released and not self.lost:
                self._released = True
                try:
                    self._records.renew(self._number, replace(self._owner, held=False))
                except OSError:
                    return

    def _loss(self) -> str:
        try:
            owner = self._records.newest()
        except OSError:
            owner = None
        if owner is None or owner.token == self._owner.token:
            return (
                f"what says that this process holds {self._lock} was removed, another one may hold it: this one stops"
            )
        return f"{owner.process} took over {self._lock} while this one stood still: this one stops, that one goes on"


class _Beats:
    """Renews what this process holds, from a thread: the event loop may be busy for long."""

    def __init__(self) -> None:
        self.held: tuple[Holding, ...] = ()
        self._change = threading.Lock()
        self._stop = threading.Event()

    def add(self, holding: Holding) -> None:
        with self._change:
            self.held = (*self.held, holding)
            if len(self.held) == 1:
                self._stop = threading.Event()
                threading.Thread(target=self._run, args=(self._stop,), name="lock-beat", daemon=True).start()

    def remove(self, holding: Holding) -> None:
        with self._change:
            self.held = tuple(other for other in self.held if other is not holding)
            if not self.held:
                self._stop.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            for holding in self.held:
                holding.renew()


_beats = _Beats()


def keep(holding: Holding) -> None:
    """Renew it from now on."""
    _beats.add(holding)


def let_go(holding: Holding) -> None:
    """Renew it no more, and release it."""
    _beats.remove(holding)
    holding.release()


def require_held() -> None:
    """Return while this process has every lock that it took. To be called before the state on disk is changed.

    Raises:
        LockLostError: another process may have one of them.
    """
    held = _beats.held
    if held:
        now = clock()
        for holding in held:
            holding.require(now)
