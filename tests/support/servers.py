"""The real S3 servers of the tests: SeaweedFS checks signatures and checksums, moto does not."""

import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError

from .process import (
    GRPC_OFFSET,
    LOOPBACK,
    PortTakenError,
    ServerProcess,
    ServerStartError,
    free_ports,
    start_with_free_ports,
)
from .s3server import ObjectSeen, S3Server

__all__ = ["ObjectSeen", "PortTakenError", "RestartableSeaweed", "S3Server", "ServerStartError", "moto", "seaweedfs"]

Ports = Callable[[int], list[int]]


@contextmanager
def seaweedfs(ports: Ports = free_ports) -> Iterator[S3Server]:
    """Run SeaweedFS with one Admin identity. Unlike its default, a PUT does not create a missing bucket."""
    with tempfile.TemporaryDirectory(prefix="seaweedfs-") as name:
        process, server, used = start_with_free_ports(lambda: _start_seaweedfs(Path(name), ports(4)))
        try:
            yield server
        finally:
            server.close()
            # Its orderly end takes 15 s and saves data that nobody wants.
            process.stop(grace_seconds=1)
            _remove_sockets(used)


@contextmanager
def moto(ports: Ports = free_ports) -> Iterator[S3Server]:
    """Run moto: any keys open it, checksums are not checked."""
    with tempfile.TemporaryDirectory(prefix="moto-") as name:
        process, server = start_with_free_ports(lambda: _start_moto(Path(name), ports(1)[0]))
        try:
            yield server
        finally:
            server.close()
            process.stop()


class RestartableSeaweed:
    """A SeaweedFS that can be killed, and started again on the same ports with the data it had; for `with`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seaweedfs-", ignore_cleanup_errors=True)
        self._data = tempfile.mkdtemp(dir=self._folder.name, prefix="data-")
        self._ports: list[int] = []

    def __enter__(self) -> "RestartableSeaweed":
        def start() -> None:
            self._ports = free_ports(4)
            self.server = _server_at(self._ports[3])
            self._start()

        start_with_free_ports(start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.stop(grace_seconds=0)
        self.server.close()
        _remove_sockets(self._ports)

    def restart(self) -> None:
        """Start it again; returns when it takes objects."""
        self._start()

    def _start(self) -> None:
        self._process, _, _ = _start_seaweedfs(Path(self._folder.name), self._ports, self.server, self._data)


def _start_seaweedfs(
    folder: Path, ports: list[int], server: S3Server | None = None, data: str | None = None
) -> tuple[ServerProcess, S3Server, list[int]]:
    master, volume, filer, s3 = ports
    data = data or tempfile.mkdtemp(dir=folder, prefix="data-")
    server = server or _server_at(s3)
    identities = folder / "identities.json"
    identities.write_text(_one_admin(server))
    argv = [
        str(Path(sys.executable).parent / "weed"),
        "-logtostderr=true",
        "server",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-master.port={master}",
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
        f"-volume.port={volume}",
        "-volume.max=400",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.config={identities}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
    ]
    process = ServerProcess.start(argv, folder)
    try:
        process.wait_until(lambda: _stores_objects(server))
    except BaseException:
        server.close()
        _remove_sockets(ports)
        raise
    return process, server, ports


def _start_moto(folder: Path, port: int) -> tuple[ServerProcess, S3Server]:
    server = _server_at(port)
    process = ServerProcess.start([sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)], folder)
    try:
        # Any keys open any moto: its log tells this one from a stranger at the same port.
        process.wait_until(lambda: f"Running on {server.endpoint}" in process.log_text() and _lists_buckets(server))
    except BaseException:
        server.close()
        raise
    return process, server


def _server_at(port: int) -> S3Server:
    return S3Server(f"http://{LOOPBACK}:{port}", f"KEY{secrets.token_hex(8).upper()}", secrets.token_hex(20))


def _one_admin(server: S3Server) -> str:
    keys = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    return json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": ["Admin"]}]})


def _lists_buckets(server: S3Server) -> bool:
    try:
        server.client().list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _stores_objects(server: S3Server) -> bool:
    """Say whether a whole round trip works: SeaweedFS lists buckets seconds before it can take a body."""
    if not _lists_buckets(server):
        return False
    probe = f"probe-{secrets.token_hex(4)}"
    try:
        server.make_bucket(probe)
        server.client().put_object(Bucket=probe, Key="probe", Body=b"probe")
        server.client().delete_object(Bucket=probe, Key="probe")
        server.client().delete_bucket(Bucket=probe)
    except (BotoCoreError, ClientError):
        return False
    return True


def _remove_sockets(ports: list[int]) -> None:
    """Remove the gRPC sockets that SeaweedFS puts into /tmp whatever it is told, and leaves when killed."""
    for role, port in zip(("master", "volume", "filer", "s3"), ports, strict=True):
        Path(f"/tmp/seaweedfs-{role}-grpc-{port + GRPC_OFFSET}.sock").unlink(missing_ok=True)
