"""A store with a limit of bandwidth: what each request carries is paid for before it goes, retries included."""

from collections.abc import Callable

import pytest

from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.messages import AwsAccess, Limits
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from tests.contract.memory_store import DEFAULTS
from tests.support.proxy import Answer, FaultProxy, Rule, on
from tests.support.s3server import REGION, S3Server

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
async def test_a_body_is_paid_for_each_time_it_is_sent(
    moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str], operation: str
) -> None:
    bucket = moto_server.make_bucket(bucket_name("paced"))
    proxy, server = proxy_for(moto_server, Rule(on(operation), Answer(503, "SlowDown"), times=1))
    access = AwsAccess(None, server.access_key, server.secret_key, None, server.endpoint, REGION)
    paid: list[int] = []

    async def pace(size: int) -> None:
        paid.append(size)

    async with AiobotocoreStore(access, connections=2, pace=pace) as store:
        requests = Requests(store, Limits(), RetryPolicy(attempts=3, base_s=0))
        upload_id = await store.create_multipart(bucket, "a", checksum=False, settings=DEFAULTS)
        assert await store.head(bucket, "a") is None
        if operation == "PutObject":
            await requests.make("put", lambda _: store.put_object(bucket, "a", b"x" * 7, None, DEFAULTS))
        else:
            await requests.make("part", lambda _: store.upload_part(bucket, "a", upload_id, 1, b"x" * 7, None))
    assert paid == [7, 7]
    assert proxy.count(on(operation)) == 2
