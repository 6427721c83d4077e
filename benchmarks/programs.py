"""The programs that are compared, and how each is called: at its best, as far as was found, integrity on.

Which settings were tried, and why these were taken, is in docs/benchmarks.md; the others can be run by their
names (``rclone:32``).
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "async-s3-upload"
FLOOR = "floor"
PEERS = ("obstore", "s5cmd", "rclone", "boto3", "awscli")
# With tens of thousands of files these take minutes.
SLOW = ("boto3", "awscli")
_HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True, slots=True)
class Task:
    """One upload of one folder; ``scratch`` is an empty folder for whatever a program wants to write."""

    folder: str
    url: str
    ca_file: str
    bucket: str
    prefix: str
    scratch: str
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program as it is called; ``environment`` comes on top of the destination's."""

    name: str
    arguments: Callable[[Task], list[str]]
    version: Sequence[str]
    environment: Callable[[Task], Mapping[str, str]] = field(default=lambda task: {})

    def version_text(self) -> str:
        """Return what the program says of its version."""
        try:
            done = subprocess.run(self.version, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return f"unknown: {error}"
        return (done.stdout or done.stderr).strip().partition("\n")[0]


def programs(names: Sequence[str], venv: str) -> list[Program]:
    """Return the programs of these names, ours first; ``venv`` is where the peers are installed.

    A name may have a setting after a colon. Raises ValueError where there is no such program or setting.
    """
    return [_program(name, os.path.join(os.path.abspath(venv), "bin")) for name in names]


def _program(name: str, binaries: str) -> Program:
    base, _, setting = name.partition(":")
    if base == OURS:
        return _ours(name, setting)
    if base == FLOOR:
        return _floor(name, setting)
    makers = {"s5cmd": _s5cmd, "rclone": _rclone, "obstore": _obstore, "boto3": _boto3, "awscli": _awscli}
    if base not in makers:
        raise ValueError(f"there is no program {base}; there are {', '.join((OURS, *PEERS, FLOOR))}")
    return makers[base](name, setting, binaries)


def _ours(name: str, setting: str) -> Program:
    """As a user calls it: all defaults, and the whole command counts. A setting is more options."""
    command = [sys.executable, "-m", "async_s3_upload"]

    def arguments(task: Task) -> list[str]:
        where = ["--local-path", task.folder, "--bucket", task.bucket, "--remote-path", task.prefix]
        return [*command, "upload", *where, "--skip-check", "--log-dir", task.scratch, *setting.split()]

    return Program(name, arguments, [*command, "--version"])


def _floor(name: str, setting: str) -> Program:
    """Few connections suffice without latency; with it, as many as ours has."""

    def arguments(task: Task) -> list[str]:
        connections = setting or ("128" if task.latency_ms else "2")
        script = os.path.join(_HERE, "floor.py")
        return [sys.executable, script, task.folder, task.url, task.bucket, task.prefix, connections]

    return Program(name, arguments, [sys.executable, "--version"])


def _in_flight(task: Task, with_latency: str) -> str:
    """Return how many files at a time are best: without latency more connections only cost more."""
    return with_latency if task.latency_ms else "32"


def _s5cmd(name: str, setting: str, binaries: str) -> Program:
    """A setting is the number of workers, and after another colon that of parts of one file at a time."""
    binary = os.path.join(binaries, "s5cmd")

    def arguments(task: Task) -> list[str]:
        workers, _, parts = (setting or _in_flight(task, "64")).partition(":")
        options = ["--log", "error", "--numworkers", workers, "--endpoint-url", task.url]
        copy = ["cp", "--concurrency", parts or "5", f"{task.folder}/", f"s3://{task.bucket}/{task.prefix}/"]
        return [binary, *options, *copy]

    return Program(name, arguments, [binary, "version"])


def _rclone(name: str, setting: str, binaries: str) -> Program:
    """A setting is the number of transfers; parts of one file, where there is one, are 16 MiB, 16 at a time."""
    binary = os.path.join(binaries, "rclone")

    def arguments(task: Task) -> list[str]:
        transfers = setting or _in_flight(task, "128")
        options = ["--transfers", transfers, "--checkers", transfers, "--s3-no-check-bucket"]
        parts = ["--s3-upload-concurrency", "16", "--s3-chunk-size", "16Mi"]
        trusted = ["--ca-cert", task.ca_file] if task.ca_file else []
        copy = ["copy", task.folder, f"sink:{task.bucket}/{task.prefix}"]
        return [binary, *copy, *options, *parts, *trusted, "--log-level", "ERROR"]

    def environment(task: Task) -> dict[str, str]:
        # As for AWS it streams over TLS only: over plain HTTP it ends with "unseekable stream is not supported".
        provider = "AWS" if task.url.startswith("https:") else "Other"
        remote = {"TYPE": "s3", "PROVIDER": provider, "ENV_AUTH": "true", "ENDPOINT": task.url, "REGION": "us-east-1",
                  "FORCE_PATH_STYLE": "true"}  # fmt: skip
        return {"RCLONE_CONFIG": os.devnull} | {f"RCLONE_CONFIG_SINK_{key}": value for key, value in remote.items()}

    return Program(name, arguments, [binary, "version"], environment)


def _obstore(name: str, setting: str, binaries: str) -> Program:
    """A setting is the number of files in flight."""
    return _script(name, binaries, "obstore_upload.py", lambda task: [setting or _in_flight(task, "256")], "obstore")


def _boto3(name: str, setting: str, binaries: str) -> Program:
    """A setting is processes x threads."""
    return _script(name, binaries, "boto3_upload.py", lambda _: (setting or "2x8").split("x"), "boto3")


def _script(name: str, binaries: str, script: str, options: Callable[[Task], Sequence[str]], library: str) -> Program:
    python = os.path.join(binaries, "python")
    say = f"import importlib.metadata; print({library!r}, importlib.metadata.version({library!r}))"

    def arguments(task: Task) -> list[str]:
        return [python, os.path.join(_HERE, script), task.folder, task.url, task.bucket, task.prefix, *options(task)]

    return Program(name, arguments, [python, "-c", say])


def _awscli(name: str, setting: str, binaries: str) -> Program:
    """A setting is ``max_concurrent_requests``."""
    binary = os.path.join(binaries, "aws")

    def arguments(task: Task) -> list[str]:
        options = ["--recursive", "--only-show-errors"]
        return [binary, "s3", "cp", task.folder, f"s3://{task.bucket}/{task.prefix}", *options]

    def environment(task: Task) -> dict[str, str]:
        path = os.path.join(task.scratch, "aws-config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"[default]\ns3 =\n  max_concurrent_requests = {setting or 32}\n")
        return {"AWS_CONFIG_FILE": path}

    return Program(name, arguments, [binary, "--version"], environment)
