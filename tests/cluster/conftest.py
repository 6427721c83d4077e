"""A lab at moto, a cluster without workers, and the crew that joins it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.lab import Lab
from tests.support.cluster import DaskCluster
from tests.support.proxy import FaultProxy
from tests.support.s3server import S3Server
from tests.support.slack import SlackListener

from .crew import Crew


@pytest.fixture
def lab(
    tmp_path: Path,
    moto_server: S3Server,
    slack: SlackListener,
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]],
    bucket_name: Callable[..., str],
) -> Lab:
    """A lab that uploads to moto, which takes any keys."""
    return Lab(tmp_path, moto_server, slack, proxy_for, bucket_name)


@pytest.fixture
def cluster() -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    with DaskCluster() as cluster:
        yield cluster


@pytest.fixture
def crew(cluster: DaskCluster, lab: Lab) -> Crew:
    """Who starts the workers of the cluster."""
    return Crew(cluster, lab.server)
