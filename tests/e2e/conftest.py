"""The labs: one at SeaweedFS, which checks signatures and checksums, one at moto, which takes any."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.proxy import FaultProxy
from tests.support.s3server import S3Server
from tests.support.slack import SlackListener

from .lab import Lab


@pytest.fixture
def lab(
    tmp_path: Path,
    seaweed: S3Server,
    slack: SlackListener,
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]],
    bucket_name: Callable[..., str],
) -> Iterator[Lab]:
    """A lab that uploads to SeaweedFS."""
    lab = Lab(tmp_path, seaweed, slack, proxy_for, bucket_name)
    yield lab
    lab.remove_buckets()  # each takes volumes, of which the server has not many


@pytest.fixture
def moto_lab(
    tmp_path: Path,
    moto_server: S3Server,
    slack: SlackListener,
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]],
    bucket_name: Callable[..., str],
) -> Lab:
    """A lab that uploads to moto."""
    return Lab(tmp_path, moto_server, slack, proxy_for, bucket_name)
