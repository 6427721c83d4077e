"""Which process this is, on which host; and whether another one still runs, as far as that can be told from here."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Literal

Life = Literal["runs", "gone", "unknown"]

ENDED = "ZX"
"""States of a process that does nothing more: a zombie, a dead one."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process among those of all hosts; a text is empty where the system does not tell it.

    ``machine`` is the id of the installed system, ``boot`` that of its kernel since it started, ``space`` the
    namespace in which ``pid`` is a number (each container has one). ``started`` is in ticks since the boot.
    """

    host: str
    machine: str
    boot: str
    space: str
    pid: int
    started: int | None

    def __str__(self) -> str:
        """Return the words for people."""
        return f"process {self.pid} on host {self.host}"


def this_process() -> Process:
    """Return what others have to know of this process."""
    pid = os.getpid()
    return Process(socket.gethostname(), machine_id(), boot_id(), _space(), pid, _stat(pid)[1])


def life_of(process: Process) -> Life:
    """Tell whether a process runs.

    Of another host, or of another container on this one, nothing is known from here. A host that has the same name and
    machine id, and has started anew since, is this one: none of its former processes runs.
    """
    here = this_process()
    if not process.boot or not here.boot:
        return "unknown"
    if process.boot == here.boot:
        return _life_here(process) if process.space == here.space else "unknown"
    is_this_host = here.machine and (process.host, process.machine) == (here.host, here.machine)
    return "gone" if is_this_host else "unknown"


def _life_here(process: Process) -> Life:
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:  # it is another user's
        pass
    state, started = _stat(process.pid)
    if started is None or process.started is None:  # /proc may hide processes of others
        return "unknown"
    return "gone" if state in ENDED or started != process.started else "runs"


def machine_id() -> str:
    """Return the id of the installed system."""
    return _first_line("/etc/machine-id")


def boot_id() -> str:
    """Return the id of the kernel that runs, new at each start of the machine."""
    return _first_line("/proc/sys/kernel/random/boot_id")


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int | None]:
    """Return the state of a process as one letter, and when it was started."""
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], int(fields[19])) if len(fields) > 19 else ("", None)


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
