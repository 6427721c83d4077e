"""A server as a subprocess: free ports for it, waiting until it answers, stopping it for certain."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.process_tree import descendants

LOOPBACK = "127.0.0.1"
GRPC_OFFSET = 10_000
# Below the ports that systems hand out to outgoing connections, also after adding GRPC_OFFSET.
PORT_RANGE = range(15_000, 22_000)

Started = TypeVar("Started")


class ServerStartError(RuntimeError):
    """The server did not come up; the message ends with its log."""


class PortTakenError(ServerStartError):
    """Another process took one of the ports between choosing and binding it."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, each with its gRPC port (port + 10000) free too."""
    chosen: list[int] = []
    with ExitStack() as held:
        for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
            if len(chosen) == count:
                break
            with suppress(OSError):
                for candidate in (port, port + GRPC_OFFSET):
                    held.enter_context(socket.socket()).bind((LOOPBACK, candidate))
                chosen.append(port)
    return chosen


def start_with_free_ports(start: Callable[[], Started], attempts: int = 3) -> Started:
    """Call `start`, which chooses ports each time, again when one was taken meanwhile."""
    for _ in range(attempts - 1):
        with suppress(PortTakenError):
            return start()
    return start()


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server in a session of its own, so that a Ctrl-C in the tests' terminal does not reach it.

    It ends with the process that started it, even where that is killed.
    """

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    guard: subprocess.Popen[bytes]

    @classmethod
    def start(cls, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> "ServerProcess":
        """Start `argv` in a clean environment and `env`, with `folder` as working folder, home and place of its log."""
        log = folder / "server.log"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            # Two volumes a bucket instead of seven: each test that shares SeaweedFS makes buckets.
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",
            **(env or {}),
        }
        with log.open("wb") as output:
            popen = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(Path(argv[0]).name, popen, log, _guard(popen.pid))

    def log_text(self) -> str:
        """Return what the server has written so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, answers: Callable[[], bool], seconds: float = 60) -> None:
        """Return once `answers` says true; else stop the process and raise ServerStartError."""
        try:
            self._poll(answers, time.monotonic() + seconds)
        except BaseException:
            self.stop(grace_seconds=1)
            raise

    def _poll(self, answers: Callable[[], bool], deadline: float) -> None:
        while True:
            # First, so that a stranger answering at a port that was taken from this server is not believed.
            if "address already in use" in self.log_text().lower():
                raise PortTakenError(self._story("found a port taken"))
            if self.popen.poll() is not None:
                raise ServerStartError(self._story(f"ended with exit code {self.popen.returncode}"))
            if answers():
                return
            if time.monotonic() > deadline:
                raise ServerStartError(self._story("did not answer in time"))
            time.sleep(0.05)

    def _story(self, what: str) -> str:
        return f"{self.name} {what}; its log ends:\n{self.log_text()[-4000:]}"

    def stop(self, grace_seconds: float = 5) -> None:
        """Ask the process group to end, and end it after the grace."""
        self._signal(signal.SIGTERM)
        try:
            self.popen.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.popen.wait()
        if self.guard.poll() is None:
            self.guard.communicate(b"stopped\n")

    def _signal(self, number: signal.Signals) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, number)


def _guard(group: int) -> subprocess.Popen[bytes]:
    """Start what kills a process group once this process is gone; a line on its stdin ends it before."""
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read -r line || kill -KILL "-$0"', str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def workers_of(pid: int) -> list[int]:
    """Return the process ids of the worker processes below a command.

    They are forked from the command, or from its fork server, and so have the command line of either.
    """
    found = []
    for child in descendants({pid}) - {pid}:
        try:
            parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
            if Path(f"/proc/{child}/cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes():
                found.append(child)
        except OSError:  # it ended meanwhile
            continue
    return sorted(found)
