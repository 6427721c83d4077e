"""Before anything is sent: every bucket that cannot be used is named, with the likely cause."""

import asyncio
from collections.abc import Callable

import pytest

from async_s3_upload.transfer.messages import AwsAccess
from async_s3_upload.transfer.stores import preflight
from async_s3_upload.transfer.stores.preflight import check_buckets, likely_cause, open_s3
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    NoSuchBucket,
    Rejected,
    StoreError,
    Transient,
    WrongRegion,
)
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Fail, Hang, Rule, ScriptedStore
from tests.support.proxy import Answer, FaultProxy, on
from tests.support.proxy import Rule as ProxyRule
from tests.support.s3server import REGION, S3Server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_POLICY", RetryPolicy(attempts=3, base_s=0.001, cap_s=0.001))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def access_to(server: S3Server, *, access_key: str = "", secret_key: str = "") -> AwsAccess:
    return AwsAccess(
        access_key=access_key or server.access_key,
        secret_key=secret_key or server.secret_key,
        endpoint_url=server.endpoint,
        region=REGION,
    )


async def test_buckets_that_answer_are_no_trouble() -> None:
    store = MemoryStore("a", "b")
    assert await check_buckets(store, ["a", "b"]) == {}
    assert store.requests == {"check_bucket": 2}


async def test_only_the_buckets_in_trouble_are_named() -> None:
    troubles = await check_buckets(MemoryStore("a"), ["missing", "a", "other"])
    assert list(troubles) == ["missing", "other"]
    assert "check its name and the account" in troubles["missing"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NoSuchBucket("x"), "x; check its name and the account"),
        (BadCredentials("x"), "x; check the credentials"),
        (
            AccessDenied("x"),
            "x; access is forbidden: the credentials are wrong, or lack the right s3:ListBucket on the bucket",
        ),
        (WrongRegion("x"), "x; the bucket is in another region, set AWS_REGION to it"),
        (Transient("x"), "x; S3 cannot be reached, check network, proxy and endpoint"),
        (Rejected("x"), "x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_each_trouble_has_its_likely_cause(error: StoreError, cause: str) -> None:
    store = ScriptedStore(MemoryStore("a"), [Rule("check_bucket", Fail(error), times=None)])
    assert likely_cause(error) == cause
    assert await check_buckets(store, ["a"]) == {"a": cause}


async def test_passing_trouble_is_tried_again() -> None:
    store = ScriptedStore(MemoryStore("a"), "EE.")
    assert await check_buckets(store, ["a"]) == {}
    assert len(store.calls) == 3


async def test_a_refusal_is_not_tried_again() -> None:
    store = ScriptedStore(MemoryStore("a"), [Rule("check_bucket", Fail(AccessDenied("no")))])
    assert "a" in await check_buckets(store, ["a"])
    assert len(store.calls) == 1


async def test_a_server_that_hangs_is_given_up() -> None:
    store = ScriptedStore(MemoryStore("a", "b"), [Rule("check_bucket", Hang(), times=None)])
    troubles = await check_buckets(store, ["a", "b"], limit_s=0.02)
    assert set(troubles) == {"a", "b"}
    assert "no answer within" in troubles["a"]


async def test_the_store_is_closed_afterwards() -> None:
    store = MemoryStore("a")
    await check_buckets(store, ["missing"])
    async with store:  # it would refuse to open twice
        pass


async def test_missing_and_present_buckets_of_a_real_server(seaweed: S3Server, bucket_name: Callable[..., str]) -> None:
    there = await asyncio.to_thread(seaweed.make_bucket, bucket_name())
    missing = bucket_name("missing")
    troubles = await check_buckets(open_s3(access_to(seaweed)), [there, missing])
    assert list(troubles) == [missing]
    assert "no such bucket" in troubles[missing]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"access_key": "UNKNOWNKEY"}, "check the credentials"), ({"secret_key": "wrong"}, "access is forbidden")],
    ids=["unknown key", "wrong secret"],
)
async def test_wrong_keys_at_a_real_server(
    seaweed: S3Server, bucket_name: Callable[..., str], wrong: dict[str, str], said: str
) -> None:
    bucket = await asyncio.to_thread(seaweed.make_bucket, bucket_name())
    troubles = await check_buckets(open_s3(access_to(seaweed, **wrong)), [bucket])
    assert said in troubles[bucket]


async def test_no_server_at_all() -> None:
    access = AwsAccess(access_key="K", secret_key="S", endpoint_url="http://127.0.0.1:1", region=REGION)
    troubles = await check_buckets(open_s3(access), ["a"])
    assert "S3 cannot be reached" in troubles["a"]


async def test_no_credentials_at_all_are_said_once_not_for_each_bucket(moto_server: S3Server) -> None:
    with pytest.raises(BadCredentials, match="Unable to locate credentials"):
        await check_buckets(open_s3(AwsAccess(endpoint_url=moto_server.endpoint)), ["a", "b"])


async def test_listing_all_buckets_is_not_needed(
    moto_server: S3Server, proxy_for: Callable[..., tuple[FaultProxy, S3Server]], bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    proxy, server = proxy_for(moto_server, ProxyRule(on("ListBuckets"), Answer(403, "AccessDenied")))
    assert await check_buckets(open_s3(access_to(server)), [bucket]) == {}
    assert [seen.operation for seen in proxy.seen] == ["HeadBucket"]
