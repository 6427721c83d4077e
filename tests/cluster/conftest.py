"""A lab at moto, a cluster without workers, and the crew that joins it."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.lab import Lab
from tests.support.cluster import DaskCluster
from tests.support.s3server import S3Server

from .crew import Crew


@pytest.fixture
def lab(lab_at: Callable[[S3Server], Lab], moto_server: S3Server) -> Lab:
    """A lab that uploads to moto, which takes any keys."""
    return lab_at(moto_server)


@pytest.fixture
def cluster() -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    with DaskCluster() as cluster:
        yield cluster


@pytest.fixture
def crew(cluster: DaskCluster, lab: Lab) -> Crew:
    """Who starts the workers of the cluster."""
    return Crew(cluster, lab.server)
