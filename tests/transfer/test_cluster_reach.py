"""A scheduler is asked for its workers: real ``dask scheduler`` processes, over TCP and TLS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.look import troubles_of_workers
from async_s3_upload.transfer.cluster.reach import workers_of
from async_s3_upload.transfer.messages import AwsAccess
from tests.support.messages import REPOSITORY
from tests.support.s3server import S3Server

LIMIT_S = 20.0


@contextmanager
def running(*args: str, told: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a program of Dask until the end of the block, which begins when it says ``told``."""
    argv = [sys.executable, "-m", "dask", *args, "--host", "127.0.0.1", "--no-dashboard"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if told in line:
                    break
            else:
                raise AssertionError("".join(lines))
            yield
        finally:
            process.kill()


@contextmanager
def scheduler(file: Path, *args: str) -> Iterator[SchedulerAddress]:
    """Run a scheduler that writes its address into the file."""
    with running("scheduler", "--port", "0", "--scheduler-file", str(file), *args, told="Registering Worker plugin"):
        yield SchedulerAddress.parse(str(file))


async def test_the_workers_of_a_scheduler_are_those_that_joined(tmp_path: Path) -> None:
    with scheduler(tmp_path / "s.json") as address:
        assert await workers_of(address, LIMIT_S) == ()
        joining = ("worker", "--scheduler-file", str(address), "--no-nanny", "--nthreads", "1")
        with running(*joining, "--local-directory", str(tmp_path), told="Starting established connection"):
            (worker,) = await workers_of(address, LIMIT_S)
    assert worker.startswith("tcp://127.0.0.1:")


async def test_each_worker_is_looked_at_for_what_a_config_asks_for(tmp_path: Path, moto_server: S3Server) -> None:
    seen, unseen = str(tmp_path), str(tmp_path / "not mounted")
    access = AwsAccess(endpoint_url=moto_server.endpoint)
    with scheduler(tmp_path / "s.json") as address:
        joining = ("worker", "--scheduler-file", str(address), "--no-nanny", "--nthreads", "1")
        told = {**moto_server.environment(), "PYTHONPATH": str(REPOSITORY)}
        with running(*joining, "--local-directory", seen, told="Starting established connection", env=told):
            (good,) = (await troubles_of_workers(address, [seen, f"{seen}/*/x"], [], access)).values()
            (blind,) = (await troubles_of_workers(address, [seen, f"{unseen}/*"], [], access)).values()
            (poor,) = (await troubles_of_workers(address, [seen], ["no-such-bucket-anywhere"], access)).values()
    assert good is None
    assert blind is not None
    assert blind.startswith(f"it does not see {unseen} (No such file or directory); ")
    assert poor == "bucket no-such-bucket-anywhere: there is no such bucket; check its name and the account"


async def test_a_scheduler_that_nobody_runs_does_not_answer() -> None:
    with pytest.raises(ClusterError, match=r"the Dask scheduler at tcp://127.0.0.1:1 does not answer within 1 s: "):
        await workers_of(SchedulerAddress.parse("tcp://127.0.0.1:1"), 1.0)


def certificates(folder: Path) -> Mapping[str, str]:
    """Dask's configuration of TLS with one certificate for all, made now as the documents say."""
    subprocess.run([REPOSITORY / "packaging/cluster/certificates.sh", folder, "2"], check=True, capture_output=True)
    authority, own = str(folder / "ca.pem"), str(folder / "dask.pem")
    keys = {f"distributed.comm.tls.{side}.cert": own for side in ("scheduler", "worker", "client")}
    return {"distributed.comm.tls.ca-file": authority, **keys}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_over_tls_the_certificates_of_dask_s_configuration_are_shown(tmp_path: Path) -> None:
    known = certificates(tmp_path)
    authority, own = known["distributed.comm.tls.ca-file"], known["distributed.comm.tls.scheduler.cert"]
    protocol = ("--protocol", "tls", "--tls-ca-file", authority, "--tls-cert", own)
    with scheduler(tmp_path / "s.json", *protocol) as address:
        assert address.contact().startswith("tls://")
        with dask.config.set(known):
            assert await workers_of(address, LIMIT_S) == ()
        with pytest.raises(ClusterError) as without:
            await workers_of(address, LIMIT_S)
    assert str(without.value) == (
        f"the Dask scheduler at {address_of(without.value)} wants TLS: name CA, certificate and key in Dask's "
        "configuration (DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT, ..._TLS__CLIENT__KEY)"
    )


def address_of(error: ClusterError) -> str:
    return str(error).split()[4]
