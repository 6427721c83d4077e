"""Time, CPU and peak memory of a command and everything it starts.

How it is measured, and where it ends:

- CPU is what the kernel accounted to the command and to every descendant that was waited for (``wait4``).
  On Linux a process that the command leaves behind as it ends, such as a server that forked its workers, comes to this
  one (a "child subreaper") and is waited for too; elsewhere it is not in the figure.
- Memory is sampled: each 50 ms a thread adds up the proportional set size (PSS: shared pages are split
  between their users) of all living processes of the tree, from ``/proc/PID/smaps_rollup``. A peak shorter
  than that can be missed, the processes are read one after another (not in one instant), and a shared page
  counts less while processes outside the tree use it too. Where PSS cannot be read the resident set size
  (RSS) stands in for it; summed over processes it counts a shared page once for each.
- A sample costs about 1 ms of one core (0.4 ms to find the tree, 0.2 ms for each process): 2 % at 50 ms.
- Without ``/proc`` (not Linux) there are no samples: the peak is the RSS of the largest single process.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

SAMPLE_SECONDS = 0.05
_GRACE_SECONDS = 5.0
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one command took; ``exit_code`` is negative where a signal ended it."""

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_pss_bytes: int
    peak_rss_bytes: int
    peak_processes: int
    samples: int
    timed_out: bool


def measure(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    timeout_seconds: float = 3600.0,
) -> Usage:
    """Run ``command`` to its end and return what it took.

    It runs in a session of its own. What is left of that session in the end is killed; on a time-out, or
    where this call is interrupted, it is first asked to end.
    """
    _adopt_orphans(True)
    began = time.perf_counter()
    process = subprocess.Popen(  # ended by wait4 below, which also tells its CPU
        command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
    )
    sampler = _Sampler(process.pid, began + timeout_seconds)
    sampler.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        sampler.finish()
        if process.returncode is None:
            _signal_session(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        left_behind = _left_behind_cpu(process.pid)
        _adopt_orphans(False)
        _signal_session(process.pid, signal.SIGKILL)
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Usage(
        exit_code=process.returncode,
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime + left_behind,
        peak_pss_bytes=sampler.peak_pss or largest,
        peak_rss_bytes=sampler.peak_rss or largest,
        peak_processes=sampler.peak_processes,
        samples=sampler.samples,
        timed_out=sampler.timed_out,
    )


def _adopt_orphans(yes: bool) -> None:
    """Become the parent of descendants that lose theirs, or leave it; does nothing where there is no prctl."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def _left_behind_cpu(session: int) -> float:
    """Wait for processes of the session that came to this one, for a few seconds each; returns their CPU seconds."""
    total = 0.0
    deadline = time.perf_counter() + _GRACE_SECONDS
    me = os.getpid()
    for pid, parent in _parents().items():
        with contextlib.suppress(OSError):
            if parent != me or pid == session or os.getsid(pid) != session:
                continue
            reaped, _, usage = os.wait4(pid, os.WNOHANG)
            while not reaped and time.perf_counter() < deadline:
                time.sleep(0.005)
                reaped, _, usage = os.wait4(pid, os.WNOHANG)
            if not reaped:
                os.kill(pid, signal.SIGKILL)
                _, _, usage = os.wait4(pid, 0)
            total += usage.ru_utime + usage.ru_stime
    return total


class _Sampler(threading.Thread):
    """Samples the tree below ``root`` until told to finish; ends its session where the deadline passes."""

    def __init__(self, root: int, deadline: float) -> None:
        super().__init__(name="process-tree-sampler", daemon=True)
        self._root = root
        self._deadline = deadline
        self._end = threading.Event()
        self._known: set[int] = {root}
        self.peak_pss = 0
        self.peak_rss = 0
        self.peak_processes = 0
        self.samples = 0
        self.timed_out = False

    def run(self) -> None:
        """Sample until the end, or until the deadline has passed and the session was ended."""
        while not self._end.wait(SAMPLE_SECONDS):
            self._sample()
            if time.perf_counter() > self._deadline:
                self.timed_out = True
                _signal_session(self._root, signal.SIGTERM)
                if not self._end.wait(_GRACE_SECONDS):
                    _signal_session(self._root, signal.SIGKILL)
                return

    def finish(self) -> None:
        """Stop sampling; returns when no sample is under way."""
        self._end.set()
        self.join()

    def _sample(self) -> None:
        # A process whose parent has died belongs to the tree still, so what was once seen stays known.
        self._known = descendants(self._known)
        sizes = [size for size in map(memory_of, self._known) if size is not None]
        self.samples += bool(sizes)
        self.peak_processes = max(self.peak_processes, len(sizes))
        self.peak_pss = max(self.peak_pss, sum(pss for pss, _ in sizes))
        self.peak_rss = max(self.peak_rss, sum(rss for _, rss in sizes))


def descendants(roots: set[int]) -> set[int]:
    """Return the living ones of ``roots`` and all that is below them; nothing without ``/proc``."""
    parents = _parents()
    tree = {pid for pid in roots if pid in parents}
    # Each round adds one generation: trees are three or four deep.
    while new := {pid for pid, parent in parents.items() if parent in tree and pid not in tree}:
        tree |= new
    return tree


def memory_of(pid: int) -> tuple[int, int] | None:
    """Return (PSS, RSS) of one process in bytes, RSS twice where PSS cannot be had; None once it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            fields = dict(line.split()[:2] for line in file if line.startswith((b"Pss:", b"Rss:")))
        return int(fields[b"Pss:"]) * 1024, int(fields[b"Rss:"]) * 1024
    except (OSError, KeyError):
        pass
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            rss = int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None
    return (rss, rss) if rss else None


def _parents() -> dict[int, int]:
    parents = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return {}
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # pid (command, which may hold anything) state parent ...
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return parents


def _signal_session(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
