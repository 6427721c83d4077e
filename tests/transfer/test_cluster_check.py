"""Whether a Dask worker can be used: what is found out on it, in one process with the tests."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload import __version__
from async_s3_upload.transfer.cluster.check import examine, trouble_with, trouble_with_version, version
from async_s3_upload.transfer.cluster.opening import Sample
from async_s3_upload.transfer.messages import AwsAccess
from tests.support.proxy import Answer, FaultProxy, Rule, every
from tests.support.s3server import REGION, S3Server


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    path = tmp_path / "a file"
    path.write_bytes(b"body")
    found = path.stat()
    return Sample(str(path), found.st_size, found.st_mtime_ns, found.st_ino)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, moto_server: S3Server) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)


def access_to(server: S3Server) -> AwsAccess:
    return AwsAccess(endpoint_url=server.endpoint, region=REGION)


def test_only_the_same_version_works_with_this_one() -> None:
    assert version() == __version__
    assert trouble_with_version(__version__) is None
    assert trouble_with_version("0.0.1") == (
        f"it has async-s3-upload 0.0.1, this is {__version__}: install the same version"
    )
    assert trouble_with_version(None) == (f"it has no async-s3-upload, this is {__version__}: install the same version")


def test_the_same_file_is_no_trouble(sample: Sample) -> None:
    assert trouble_with(sample) is None


def test_a_missing_file_is_told(sample: Sample) -> None:
    Path(sample.path).unlink()
    assert trouble_with(sample) == (
        f"it does not see {sample.path} (No such file or directory); "
        "mount the folder at the same path, readable for its user"
    )


def test_a_file_that_cannot_be_read_is_told(sample: Sample, tmp_path: Path) -> None:
    if os.geteuid() == 0:  # who may read everything still cannot read a folder
        sample = replace(sample, path=str(tmp_path))
        assert "(Is a directory)" in str(trouble_with(sample))
        return
    Path(sample.path).chmod(stat.S_IWUSR)
    assert "(Permission denied)" in str(trouble_with(sample))


@pytest.mark.parametrize("field", ["size", "mtime_ns"])
def test_another_state_of_the_file_is_told(sample: Sample, field: str) -> None:
    other = replace(sample, **{field: getattr(sample, field) + 1})
    assert trouble_with(other) == (
        f"it sees another size of {sample.path}; look whether the same storage is mounted there"
    )


def test_another_inode_is_told(sample: Sample) -> None:
    assert trouble_with(replace(sample, inode=sample.inode + 1)) == (
        f"it sees another inode of {sample.path}; mount the same storage there (SMB: with serverino)"
    )


async def test_files_come_before_buckets_and_the_first_trouble_is_told(sample: Sample, moto_server: S3Server) -> None:
    lacking = replace(sample, path=sample.path + " too")
    found = await examine([sample, lacking], ["no-such-bucket-here"], access_to(moto_server))
    assert found is not None
    assert found.startswith(f"it does not see {lacking.path} ")


async def test_what_works_is_no_trouble(sample: Sample, moto_server: S3Server, bucket_name: Callable[..., str]) -> None:
    bucket = moto_server.make_bucket(bucket_name("check"))
    assert await examine([sample], [bucket], access_to(moto_server)) is None
    assert await examine([sample], [], access_to(moto_server)) is None


async def test_a_bucket_that_is_not_there_is_named(sample: Sample, moto_server: S3Server) -> None:
    found = await examine([sample], ["no-such-bucket-here"], access_to(moto_server))
    assert found is not None
    assert found.startswith("bucket no-such-bucket-here: ")


async def test_a_forbidden_bucket_is_named(
    moto_server: S3Server, proxy_for: Callable[..., tuple[FaultProxy, S3Server]]
) -> None:
    _, server = proxy_for(moto_server, Rule(every, Answer(403, "AccessDenied"), times=None))
    found = await examine([], ["theirs"], access_to(server))
    assert found is not None
    assert found.startswith("bucket theirs: ")


async def test_a_worker_without_credentials_is_told(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = await examine([], ["runs"], access_to(moto_server))
    assert found is not None
    assert found.startswith("it finds no AWS credentials: ")


async def test_credentials_that_contradict_each_other_are_told(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY", "half of a pair")
    found = await examine([], ["runs"], access_to(moto_server))
    assert found is not None
    assert found.startswith("it finds no AWS credentials: ")
    assert "AWS_SECRET_KEY" in found
