"""Processes of hosts that are not there, and what they leave beside a lock."""

from __future__ import annotations

from dataclasses import replace

from async_s3_upload.state.owner import Owner, Records
from async_s3_upload.state.this_host import Process, this_process

ELSEWHERE = Process("other-host", "other-machine", "other-boot", "pid:[4026531836]", 42, 7)
"""A process of another host, of which nothing can be known here."""


def dead_process() -> Process:
    """Return a process of this host that ended: its number is this process's own, but it was started earlier."""
    here = this_process()
    assert here.started is not None
    return replace(here, started=here.started - 1)


def leave(lock: str, process: Process = ELSEWHERE, number: int = 1, *, held: bool = True, beat: int = 0) -> Owner:
    """Write down that a process holds the lock, or held it."""
    owner = Owner(process, "a" * 16, beat, held)
    assert Records(lock).create(number, owner)
    return owner


def beat_of(lock: str, owner: Owner, beat: int = 1, number: int = 1) -> None:
    """Let it renew its record."""
    assert Records(lock).renew(number, replace(owner, beat=beat))
