"""A Dask cluster of real `dask scheduler` and `dask worker` processes."""

import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypedDict, Unpack

from benchmarks.process_tree import descendants
from tests.support.process import LOOPBACK, ServerProcess

from .network import Place

Env = Mapping[str, str]

QUICK = {
    # What only dashboards show costs time.
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "false",
    "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "false",
    # 20 ms by default: four fifths of what idle workers cost
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
START_SECONDS = 60
HERE = Place("here", LOOPBACK)
REGISTERED = re.compile(r"Registered to:")
WORKER_AT = re.compile(r"Start worker at: +(\S+)")


@dataclass(frozen=True, slots=True)
class DaskWorker:
    """One `dask worker` command; with a nanny, or with several worker processes, these are its children."""

    name: str
    process: ServerProcess
    processes: int
    place: Place

    @property
    def pid(self) -> int:
        """The id of the command's process, which is the worker itself where there is no nanny."""
        return self.process.popen.pid

    @property
    def addresses(self) -> list[str]:
        """The addresses of its workers, in the order in which they started; again for each restart by a nanny."""
        return WORKER_AT.findall(self.log_text)

    @property
    def address(self) -> str:
        """The address of its latest worker."""
        return self.addresses[-1]

    @property
    def log_text(self) -> str:
        """What it has written so far."""
        return self.process.log_text()

    def kill(self) -> None:
        """End it with all its processes as kill -9 does."""
        self.process.stop(grace_seconds=0)

    def kill_children(self) -> None:
        """Kill -9 the worker processes of a nanny, which stays and starts others."""
        for child in descendants({self.pid}) - {self.pid}:
            if b"spawn_main" in _command_line(child):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, as Slurm does at the end of its time."""
        self.process.stop()

    def freeze(self) -> None:
        """Let none of its processes run, until `thaw`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def is_registered(self) -> bool:
        """Say whether all its workers have registered with the scheduler."""
        return len(REGISTERED.findall(self.log_text)) >= self.processes

    def wait_until_registered(self) -> None:
        """Return when all its workers are registered with the scheduler; else ServerStartError, and it is stopped."""
        self.process.wait_until(self.is_registered, START_SECONDS)


class Options(TypedDict, total=False):
    """How a worker is started: `wrapper` is a command that runs the one behind it; several workers have a nanny."""

    place: Place
    env: Env
    wrapper: Sequence[str]
    nthreads: int
    nworkers: int
    nanny: bool
    by_file: bool


class DaskCluster:
    """A scheduler, and workers as they are added; for `with`, which ends them all.

    `env` goes to the scheduler and to every worker. The processes see nothing else of the tests' environment.
    """

    def __init__(self, place: Place = HERE, *, env: Env | None = None, protocol: str = "tcp") -> None:
        self._place = place
        self._env = {**QUICK, **(env or {})}
        self._protocol = protocol
        self._stack = ExitStack()
        self.workers: list[DaskWorker] = []

    def __enter__(self) -> "DaskCluster":
        try:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-", ignore_cleanup_errors=True))
            self._folder = Path(folder)
            self.scheduler_file = self._folder / "scheduler.json"
            self._scheduler = self._start_scheduler(0)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()
        self._stack.close()

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        address: str = json.loads(self.scheduler_file.read_text())["address"]
        return address

    @property
    def port(self) -> int:
        """The port of the scheduler."""
        return int(self.address.rpartition(":")[2])

    @property
    def scheduler_pid(self) -> int:
        """The id of the scheduler's process."""
        return self._scheduler.popen.pid

    @property
    def scheduler_log(self) -> str:
        """What the scheduler has written so far."""
        return self._scheduler.log_text()

    def kill_scheduler(self) -> None:
        """End the scheduler as kill -9 does."""
        self._scheduler.stop(grace_seconds=0)

    def stop_scheduler(self) -> None:
        """Ask the scheduler to end."""
        self._scheduler.stop()

    def freeze_scheduler(self) -> None:
        """Let the scheduler not run, as a machine that hangs."""
        os.killpg(self._scheduler.popen.pid, signal.SIGSTOP)

    def restart_scheduler(self) -> None:
        """Start a scheduler at the same address, after the other one has ended."""
        self._scheduler = self._start_scheduler(self.port)

    def add_workers(self, *names: str, **options: Unpack[Options]) -> list[DaskWorker]:
        """Start workers, all at once, as `start_worker` does; return when all are registered."""
        started = [self.start_worker(name, **options) for name in names]
        for worker in started:
            worker.wait_until_registered()
        return started

    def add_worker(self, name: str, **options: Unpack[Options]) -> DaskWorker:
        """Start a worker as `start_worker` does; return when it is registered."""
        (worker,) = self.add_workers(name, **options)
        return worker

    def start_worker(self, name: str, **options: Unpack[Options]) -> DaskWorker:
        """Start `dask worker` with a folder of its own; by default one process without nanny, with two threads."""
        place = options.get("place", self._place)
        nworkers = options.get("nworkers", 1)
        folder = self._folder / f"{len(self.workers)}-{name}"
        folder.mkdir()
        argv = [*place.prefix, *options.get("wrapper", ()), sys.executable, "-m", "distributed.cli.dask_worker"]
        argv += (
            ["--scheduler-file", str(self.scheduler_file)]
            if options.get("by_file")
            else [self._address_seen_from(place)]
        )
        argv += ["--nthreads", str(options.get("nthreads", 2)), "--nworkers", str(nworkers)]
        argv += [
            "--no-dashboard",
            "--name",
            name,
            "--nanny" if options.get("nanny") or nworkers > 1 else "--no-nanny",
            "--local-directory",
            str(folder),
            "--memory-limit",
            "0",
        ]
        argv += self._listening(place)
        process = ServerProcess.start(argv, folder, env={**self._env, **options.get("env", {})})
        worker = DaskWorker(name, process, nworkers, place)
        self.workers.append(worker)
        return worker

    def _address_seen_from(self, place: Place) -> str:
        relay = place.scheduler_relay
        if relay is None:
            return self.address
        relay.target = self.port
        return f"{self._protocol}://{LOOPBACK}:{relay.port}"

    def _listening(self, place: Place) -> list[str]:
        if not place.worker_port:
            return ["--host", place.address]
        return [
            *("--listen-address", f"{self._protocol}://{LOOPBACK}:{place.worker_port}"),
            *("--contact-address", f"{self._protocol}://{LOOPBACK}:{place.contact_port}"),
        ]

    def _start_scheduler(self, port: int) -> ServerProcess:
        self.scheduler_file.unlink(missing_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix="scheduler-"))
        argv = [*self._place.prefix, sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
        argv += ["--host", self._place.address, "--port", str(port), "--protocol", self._protocol]
        argv += ["--scheduler-file", str(self.scheduler_file)]
        process = ServerProcess.start(argv, folder, env=self._env)
        self._stack.callback(process.stop, grace_seconds=0)
        process.wait_until(self._is_written, START_SECONDS)
        return process

    def _is_written(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            return bool(self.address)
        return False


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""
