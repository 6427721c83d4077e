"""The real command, run as a user or cron would: a subprocess with an environment of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .s3server import S3Server

PASSED_ON = ("PATH", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


class CommandTimeoutError(AssertionError):
    """The command did not end in time and was killed; the message shows what it wrote."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended. `exit_code` is negative where a signal ended it."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


class RunningCommand:
    """A command in a session of its own; the end of `with` kills what is left of it and removes its home."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        server: S3Server | None = None,
        cwd: str | os.PathLike[str] | None = None,
        terminal: int | None = None,
    ) -> None:
        """Start it; stderr may be a ``terminal``, the end of a pty that programs use, in place of a file."""
        self._folder = tempfile.TemporaryDirectory(prefix="command-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self._stdout_file = folder / "stdout"
        self._stderr_file = folder / "stderr"
        try:
            environment = _environment(folder, env, server)
            with self._stdout_file.open("wb") as stdout, self._stderr_file.open("wb") as stderr:
                self._popen = subprocess.Popen(
                    argv,
                    cwd=cwd if cwd is not None else environment["HOME"],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr if terminal is None else terminal,
                    start_new_session=True,
                )
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> "RunningCommand":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Process id of the command, which is its process group's too."""
        return self._popen.pid

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return self._stdout_file.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._stderr_file.read_text(errors="replace")

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the command (as `kill` does), or to its whole group (as a Ctrl-C does)."""
        if self._popen.poll() is None:
            (os.killpg if group else os.kill)(self._popen.pid, number)

    def wait(self, timeout: float = 120) -> Completed:
        """Return how it ended; kill it with all its children and raise CommandTimeoutError if it does not."""
        try:
            exit_code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()
            story = f"stdout ends:\n{self.stdout[-4000:]}\nstderr ends:\n{self.stderr[-4000:]}"
            raise CommandTimeoutError(f"not done after {timeout} s; {story}") from None
        return Completed(exit_code, self.stdout, self.stderr)

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


def start_command(
    *args: str,
    env: Mapping[str, str] | None = None,
    server: S3Server | None = None,
    cwd: str | os.PathLike[str] | None = None,
    terminal: int | None = None,
) -> RunningCommand:
    """Start `async-s3-upload` with these arguments; to be used in `with`."""
    argv = [sys.executable, "-m", "async_s3_upload", *args]
    return RunningCommand(argv, env=env, server=server, cwd=cwd, terminal=terminal)


def run_command(
    *args: str,
    env: Mapping[str, str] | None = None,
    server: S3Server | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 120,
) -> Completed:
    """Run `async-s3-upload` with these arguments to its end.

    The environment is PATH, an empty HOME and TMPDIR of its own, then what leads to `server`, then `env` (with
    another HOME where state must outlive the command).
    """
    with start_command(*args, env=env, server=server, cwd=cwd) as command:
        return command.wait(timeout)


def _environment(folder: Path, env: Mapping[str, str] | None, server: S3Server | None) -> dict[str, str]:
    home, temporary = folder / "home", folder / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    if server is not None:
        environment |= server.environment()
    return environment | dict(env or {})
