"""Workers of a Dask cluster, each with an access key of its own: so a proxy before moto knows who sends what."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import async_s3_upload
from tests.e2e.lab import Lab
from tests.support.cluster import DaskCluster, DaskWorker, Place
from tests.support.cluster.dask import HERE
from tests.support.command import RunningCommand
from tests.support.proxy import FaultProxy, Match, every
from tests.support.s3server import S3Server

STRANGER = "0.0.1"
"""A version that is not ours."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Starts the workers of a cluster that reach `server`, which takes any keys, and leads commands to the cluster."""

    cluster: DaskCluster
    server: S3Server

    @property
    def options(self) -> tuple[str, str]:
        """What leads a command to the cluster."""
        return "--scheduler", self.cluster.address

    def add(self, *names: str, place: Place = HERE, nanny: bool = False, nthreads: int = 2) -> list[DaskWorker]:
        """Start fit workers; return when they are registered."""
        started = [
            self.cluster.start_worker(name, env=self.variables(name), place=place, nanny=nanny, nthreads=nthreads)
            for name in names
        ]
        for worker in started:
            worker.wait_until_registered()
        return started

    def variables(self, name: str) -> dict[str, str]:
        """Return the environment of the worker of this name."""
        return {**self.server.environment(), "AWS_ACCESS_KEY_ID": key_of(name)}


def key_of(name: str) -> str:
    """Return the access key of the worker of this name."""
    return f"KEYOF{name.upper()}"


def sent_by(name: str, match: Match = every) -> Match:
    """Match those requests that the worker of this name sends."""
    signed = f"Credential={key_of(name)}/"
    return lambda request: signed in request.headers.get("authorization", "") and match(request)


def sent_by_nobody_of(names: Sequence[str], match: Match = every) -> Match:
    """Match what is sent by others than these workers: the coordinator."""
    theirs = [sent_by(name) for name in names]
    return lambda request: match(request) and not any(mine(request) for mine in theirs)


def times_sent(proxy: FaultProxy, operation: str = "PutObject") -> Counter[str]:
    """Return how often each key was sent."""
    return Counter(seen.key for seen in proxy.seen if seen.operation == operation)


def keys_sent_by(proxy: FaultProxy, name: str) -> set[str]:
    """Return the keys of the PUTs of the worker of this name."""
    mine = sent_by(name)
    return {seen.key for seen in proxy.seen if seen.operation == "PutObject" and mine(seen)}


def completions(proxy: FaultProxy) -> Counter[str]:
    """Return how often each multipart upload was completed, by its key and id."""
    done = [seen for seen in proxy.seen if seen.operation == "CompleteMultipartUpload" and seen.status == 200]
    return Counter(f"{seen.key}?{seen.query}" for seen in done)


def until(happens: Callable[[], bool], seconds: float = 60) -> None:
    """Return when it has happened."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def start_upload_at(place: Place, lab: Lab, run: Path, bucket: str, *args: str) -> RunningCommand:
    """Start ``upload`` in this place of a network; to be used in `with`."""
    argv = [*place.prefix, sys.executable, "-m", "async_s3_upload", "upload", "--local-path", str(run)]
    argv += ["--bucket", bucket, "--log-dir", str(lab.log_dir), *args]
    return RunningCommand(argv, server=lab.reached)


def other_version(folder: Path) -> Path:
    """Write the package in another version; return what PYTHONPATH has to name."""
    source = Path(async_s3_upload.__file__).parent
    shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / source.name / "__init__.py"
    init.write_text(init.read_text().replace(async_s3_upload.__version__, STRANGER))
    return folder
