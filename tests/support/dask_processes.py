"""A scheduler and workers of Dask as real processes on the loop-back address."""

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support.process import LOOPBACK, ServerProcess

QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "false",
    "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "false",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""What only dashboards show costs time."""
WORKER_AT = re.compile(r"Start worker at: +(\S+)")
REGISTERED = "Registered to:"


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A `dask worker` without a nanny."""

    process: ServerProcess

    @property
    def address(self) -> str:
        """Where it listens."""
        found = WORKER_AT.search(self.process.log_text())
        assert found is not None
        return found[1]

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.stop(grace_seconds=0)


class DaskProcesses:
    """A scheduler, and workers as they are added; for `with`, which ends them all. `env` goes to every process."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**QUIET, **env}
        self._stack = ExitStack()
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> "DaskProcesses":
        try:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-", ignore_cleanup_errors=True))
            self._folder = Path(folder)
            self._file = self._folder / "scheduler.json"
            self.start_scheduler()
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
        """The scheduler's."""
        address: str = json.loads(self._file.read_text())["address"]
        return address

    def start_scheduler(self, port: int = 0) -> None:
        """Start one, at this port."""
        self._file.unlink(missing_ok=True)
        argv = ("dask_scheduler", "--no-dashboard", "--host", LOOPBACK, "--port", str(port))
        self.scheduler = self._start("scheduler", *argv, "--scheduler-file", str(self._file))
        self._stack.callback(self.scheduler.stop, grace_seconds=0)
        self.scheduler.wait_until(self._is_written)

    def add_workers(self, count: int, env: Mapping[str, str] | None = None) -> list[WorkerProcess]:
        """Start so many, all at once; return when all are registered."""
        argv = ("dask_worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads", "2", "--memory-limit", "0")
        started = []
        for _ in range(count):
            worker = WorkerProcess(self._start("worker", *argv, "--host", LOOPBACK, env=env or {}))
            self.workers.append(worker)
            started.append(worker)
        for worker in started:
            process = worker.process
            process.wait_until(lambda process=process: REGISTERED in process.log_text())  # type: ignore[misc]
        return started

    def kill_worker(self, address: str) -> None:
        """Kill -9 the worker at the address."""
        (worker,) = [worker for worker in self.workers if worker.address == address]
        worker.kill()
        self.workers.remove(worker)

    def _start(self, name: str, module: str, *argv: str, env: Mapping[str, str] | None = None) -> ServerProcess:
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{name}-"))
        if name == "worker":
            argv = (*argv, "--local-directory", str(folder))
        variables = [f"{key}={value}" for key, value in {**self._env, **(env or {})}.items()]
        command = ["/usr/bin/env", *variables, sys.executable, "-m", f"distributed.cli.{module}", *argv]
        return ServerProcess.start(command, folder)

    def _is_written(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            return bool(self.address)
        return False
