"""The labs: one at SeaweedFS, which checks signatures and checksums, one at moto, which takes any."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.s3server import S3Server

from .lab import Lab


@pytest.fixture
def lab(lab_at: Callable[[S3Server], Lab], seaweed: S3Server) -> Iterator[Lab]:
    """A lab that uploads to SeaweedFS."""
    lab = lab_at(seaweed)
    yield lab
    lab.remove_buckets()  # each takes volumes, of which the server has not many


@pytest.fixture
def moto_lab(lab_at: Callable[[S3Server], Lab], moto_server: S3Server) -> Lab:
    """A lab that uploads to moto."""
    return lab_at(moto_server)
