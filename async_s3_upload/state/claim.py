"""Becoming the holder of a lock by its records, where locks of the file system may not reach other hosts.

Nothing here compares clocks of two hosts: a holder of another host is at work while its record changes.
"""

from __future__ import annotations

import logging
from collections.abc import Generator

from async_s3_upload.state.holding import Holding, clock
from async_s3_upload.state.owner import Owner, Records, decode
from async_s3_upload.state.this_host import Process, life_of, this_process
from async_s3_upload.text import printable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
SILENT_LOOKS = 30
"""A holder whose record is the same in so many looks in a row is gone: after a minute, six times what it writes in."""
MOST_TRIES = 30
"""So often others may come and go between two steps of this one."""


_followed: set[Process] = set()
"""Those that this process found silent and took a lock over from: they stop for that, and hold no other lock either."""


class AlreadyRunning(Exception):
    """Another process holds the lock: ``holder``, None where that is not known."""

    def __init__(self, path: str, holder: Process | None = None) -> None:
        super().__init__(path)
        self.holder = holder

    @property
    def by(self) -> str:
        """Return who holds it, to stand behind a sentence."""
        return "" if self.holder is None else f" ({printable(str(self.holder))})"


def claim(lock: str, token: str, *, patient: bool) -> Generator[float, None, Holding]:
    """Take the lock for this process, which has the lock of the file system already, if there is one.

    Yields seconds that the caller lets pass before it goes on: none unless the last holder was on another host and did
    not let go. Who is not ``patient`` takes such a holder for one that is at work.

    Raises:
        AlreadyRunning: another process holds it.
        OSError: the records cannot be read or written.
    """
    records = Records(lock)
    owner = Owner(this_process(), token)
    seen = 0
    for _ in range(MOST_TRIES):
        newest = max([*records.numbers(), seen])
        if newest and not (yield from _is_over(lock, records, newest, patient=patient)):
            seen = 0
            if not patient:
                break
            yield LOOK_EVERY_S  # a listing may be old; what is in it is gone
            continue
        number = newest + 1
        if not records.create(number, owner):
            seen = number  # another one was faster
            continue
        # the listing is new now, as this host has changed the folder: nobody went on from a later record meanwhile
        others = records.numbers()
        if max(others, default=number) > number:
            records.remove(number)
            continue
        for other in others:
            if other < number:
                records.remove(other)  # who wrote it and was only frozen finds that out
        return Holding(lock, records, number, owner)
    raise AlreadyRunning(lock)


def _is_over(lock: str, records: Records, number: int, *, patient: bool) -> Generator[float, None, bool]:
    """Return True when the holder of that record is gone, False when the record is.

    Raises:
        AlreadyRunning: it is at work.
    """
    first = records.read(number)
    owner = None if first is None else decode(first)
    if first is None or (owner is not None and not owner.held):
        return first is not None
    holder = None if owner is None else owner.process
    life = "unknown" if holder is None else life_of(holder)
    if life == "gone" or holder in _followed:
        return True
    if life == "runs" or not patient:
        raise AlreadyRunning(lock, holder)
    who = "an unknown process" if holder is None else printable(str(holder))
    log.info("%s did not let go of %s: it is awaited for %d s whether it is at work", who, lock, silent_s())
    silent = 0
    while silent < SILENT_LOOKS:
        began = clock()
        yield LOOK_EVERY_S
        now = records.read(number)
        if now != first:
            after = None if now is None else decode(now)
            if now is None or (after is not None and not after.held):
                return now is not None
            raise AlreadyRunning(lock, after.process if after is not None else holder)
        # where this process or the server stood still, so may have the other one
        silent = silent + 1 if clock() - began < 2 * LOOK_EVERY_S else 0
    log.warning("%s gave no sign of life for %d s and left %s behind: it is taken over", who, silent_s(), lock)
    if holder is not None:
        _followed.add(holder)
    return True


def silent_s() -> float:
    """Return for how many seconds a holder has to be silent."""
    return SILENT_LOOKS * LOOK_EVERY_S
