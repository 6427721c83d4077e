"""No secret goes through the scheduler of a cluster; each worker finds its own credentials."""

from __future__ import annotations

import pickle

import pytest

from async_s3_upload.errors import AwsAccessError
from async_s3_upload.transfer.access import choose_access
from async_s3_upload.transfer.cluster.access import access_on_worker, for_workers
from async_s3_upload.transfer.messages import AwsAccess

SECRETS = {
    "AWS_ACCESS_KEY": "ASIAOFCOORDINATOR",
    "AWS_SECRET_KEY": "the-coordinators-secret",  # pragma: allowlist secret
    "AWS_SESSION_TOKEN": "the-coordinators-token",
}
WORKERS_OWN = {"AWS_ACCESS_KEY": "AKIAOFWORKER", "AWS_SECRET_KEY": "the-workers-secret"}  # pragma: allowlist secret


def test_what_goes_through_the_scheduler_has_no_secret_in_it() -> None:
    sent = pickle.dumps(for_workers(choose_access(SECRETS, endpoint_url="http://s3.lab:9000"), SECRETS))
    for secret in SECRETS.values():
        assert secret.encode() not in sent
    assert b"http://s3.lab:9000" in sent  # the pickle is one in which it would be found


def test_all_that_is_asked_of_s3_is_the_same_on_each_worker() -> None:
    access = AwsAccess(
        profile="lab",
        endpoint_url="http://s3.lab:9000",
        region="eu-west-2",
        use_accelerate_endpoint=True,
        use_dualstack_endpoint=True,
        addressing_style="path",
        transport="aiobotocore",
    )
    assert access_on_worker(for_workers(access, {}), {"AWS_REGION": "us-east-1"}) == access


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://a:1"}, "http://a:1"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "http://b:2"}, "http://b:2"),
        ({"AWS_ENDPOINT_URL": ""}, None),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
    ],
)
def test_an_endpoint_of_the_environment_travels_so_that_no_worker_sends_elsewhere(
    environ: dict[str, str], endpoint: str | None
) -> None:
    assert for_workers(AwsAccess(), environ).endpoint_url == endpoint
    assert for_workers(AwsAccess(endpoint_url="http://own:3"), environ).endpoint_url == "http://own:3"


def test_a_region_of_the_environment_travels_too() -> None:
    assert for_workers(AwsAccess(), {"AWS_DEFAULT_REGION": "eu-west-2"}).region == "eu-west-2"
    assert for_workers(AwsAccess(region="eu-west-1"), {"AWS_DEFAULT_REGION": "eu-west-2"}).region == "eu-west-1"


def test_a_worker_takes_the_pair_of_variables_of_its_own_environment_first() -> None:
    found = access_on_worker(for_workers(choose_access(SECRETS), {}), WORKERS_OWN)
    assert (found.access_key, found.secret_key) == ("AKIAOFWORKER", "the-workers-secret")


def test_a_worker_without_variables_has_the_standard_chain() -> None:
    assert access_on_worker(for_workers(choose_access(SECRETS), {}), {}) == AwsAccess()


def test_a_profile_that_was_named_counts_on_the_worker_whatever_its_environment_has() -> None:
    sent = for_workers(choose_access({"AWS_DEFAULT_PROFILE": "lab"}), {})
    found = access_on_worker(sent, WORKERS_OWN)
    assert (found.profile, found.access_key) == ("lab", None)


def test_half_a_pair_on_a_worker_is_refused_there() -> None:
    with pytest.raises(AwsAccessError, match="AWS_ACCESS_KEY is set, but AWS_SECRET_KEY is not"):
        access_on_worker(AwsAccess(), {"AWS_ACCESS_KEY": "AKIA"})
