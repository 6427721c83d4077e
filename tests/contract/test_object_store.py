"""The contract of ObjectStore, over all stores: in memory, moto (checks nothing), SeaweedFS (checks everything).

Deviations of a server are named in ``StoreCase`` and nowhere else.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.stores.lean.store import LeanStore
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    ExpiredCredentials,
    ListedPart,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectInfo,
    ObjectStore,
    Rejected,
    StoreError,
    Transient,
    UploadedPart,
)
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from tests.contract.memory_store import DEFAULTS, MIN_PART_SIZE, OWNER, MemoryStore
from tests.support.faults import CutAnswer, StallAnswer
from tests.support.proxy import Answer, Cut, FaultProxy, Hold, Rule, every, on
from tests.support.raw_server import raw_server
from tests.support.s3server import REGION, S3Server

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]
RealStore = type[AiobotocoreStore]
REAL_STORES: list[RealStore] = [AiobotocoreStore, LeanStore]


def _case_name(param: Any) -> str:
    return param if isinstance(param, str) else f"{param[0]}-{param[1].__name__}"


ODD_NAMES = [
    "two words",
    "a+b",
    "a&b",
    "a?b=c",
    "a#b",
    "100%",
    "%2F%20+",
    'it\'s "quoted"',
    "`tick`",
    "[x]{y}(z)",
    "back\\slash",
    "grün",
    "日本語/ラン.bcl",
    "~dots...and*stars",
    " leading and trailing ",
    ".hidden",
]


@dataclass(frozen=True, slots=True)
class StoreCase:
    """A kind of store, a bucket in it, and where the server behind deviates from the contract."""

    name: str
    store: ObjectStore
    bucket: str
    server: S3Server | None
    checks_sums: bool = True
    """moto takes any checksum, on PUT, on a part and at completion."""
    lists_backslashes: bool = True
    """SeaweedFS lists a backslash as a slash, of objects and of uploads; HEAD finds the key as it was given."""
    completes_once: bool = True
    """moto and SeaweedFS answer a repeated completion with the ETag once more."""
    knows_gone_uploads: bool = True
    """moto answers 500 to parts, and to the completion, of an upload that was aborted."""
    keeps_sums: Collection[str] = ("put", "multipart")
    """moto shows no checksum of an object that was PUT, only of one that was joined from parts."""
    encrypts: bool = True
    """SeaweedFS answers 500 to each kind of encryption, as long as no key of its own is set up."""
    forgets_replaced_parts: bool = True
    """SeaweedFS lists a part that was sent again once more, the old one beside the new one."""
    ties_uploads_to_keys: bool = True
    """moto lists the parts of an upload under any key."""
    knows_owners: bool = True
    """moto and SeaweedFS take any expected owner of the bucket."""

    def shows(self, key: str, size: int, etag: str, crc64nvme: str | None = None, how: str = "put") -> ObjectInfo:
        """Return what HEAD should show of an object that was sent with this checksum."""
        return ObjectInfo(key, size, etag, crc64nvme if how in self.keeps_sums else None)


@pytest.fixture(params=REAL_STORES, ids=lambda kind: kind.__name__)
def real_store(request: pytest.FixtureRequest) -> RealStore:
    kind: RealStore = request.param
    return kind


@pytest.fixture(params=["memory", *product(("moto", "seaweed"), REAL_STORES)], ids=_case_name)
async def case(request: pytest.FixtureRequest, bucket_name: Callable[..., str]) -> StoreCase:
    bucket = bucket_name("contract")
    if request.param == "memory":
        return StoreCase("memory", MemoryStore(bucket), bucket, None)
    name, kind = request.param
    server: S3Server = request.getfixturevalue("moto_server" if name == "moto" else "seaweed")
    await asyncio.to_thread(server.make_bucket, bucket)
    store = kind(access_to(server), connections=16)
    found = StoreCase(name, store, bucket, server)
    if name == "moto":
        return replace(
            found,
            checks_sums=False,
            completes_once=False,
            knows_gone_uploads=False,
            keeps_sums=("multipart",),
            ties_uploads_to_keys=False,
            knows_owners=False,
        )
    return replace(
        found,
        lists_backslashes=False,
        completes_once=False,
        encrypts=False,
        forgets_replaced_parts=False,
        knows_owners=False,
    )


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def access_to(server: S3Server) -> AwsAccess:
    return AwsAccess(
        access_key=server.access_key, secret_key=server.secret_key, endpoint_url=server.endpoint, region=REGION
    )


def header(*pieces: bytes) -> str:
    return checksum.as_header(checksum.crc_of(b"".join(pieces)))


async def listed(store: ObjectStore, bucket: str, prefix: str = "") -> list[ObjectInfo]:
    return [entry async for entry in store.list_objects(bucket, prefix)]


async def uploads_of(store: ObjectStore, bucket: str, prefix: str = "") -> set[tuple[str, str]]:
    """Return (key, id) of the uploads in progress."""
    return {(upload.key, upload.upload_id) async for upload in store.list_uploads(bucket, prefix)}


async def in_parts(
    case: StoreCase, key: str, bodies: Sequence[bytes], *, sums: bool, settings: ObjectSettings = DEFAULTS
) -> tuple[str, list[UploadedPart]]:
    """Begin an upload and send its parts; returns what completing takes."""
    upload_id = await case.store.create_multipart(case.bucket, key, checksum=sums, settings=settings)
    parts = []
    for number, body in enumerate(bodies, 1):
        crc = header(body) if sums else None
        etag = await case.store.upload_part(case.bucket, key, upload_id, number, body, crc)
        parts.append(UploadedPart(number, etag, crc))
    return upload_id, parts


BIG = secrets.token_bytes(MIN_PART_SIZE)
SMALL = secrets.token_bytes(1000)


async def test_an_object_that_was_put_is_found_by_head_and_list(case: StoreCase) -> None:
    async with case.store as store:
        etag = await store.put_object(case.bucket, "run/a.bcl", SMALL, header(SMALL), DEFAULTS)
        assert etag
        assert '"' not in etag
        assert await store.head(case.bucket, "run/a.bcl") == case.shows("run/a.bcl", len(SMALL), etag, header(SMALL))
        assert await listed(store, case.bucket) == [ObjectInfo("run/a.bcl", len(SMALL), etag)]


async def test_an_object_may_be_put_without_a_checksum(case: StoreCase) -> None:
    async with case.store as store:
        etag = await store.put_object(case.bucket, "a", SMALL, None, DEFAULTS)
        assert await store.head(case.bucket, "a") == ObjectInfo("a", len(SMALL), etag)


async def test_an_empty_object_can_be_put(case: StoreCase) -> None:
    async with case.store as store:
        etag = await store.put_object(case.bucket, "empty", b"", header(b""), DEFAULTS)
        assert await store.head(case.bucket, "empty") == case.shows("empty", 0, etag, header(b""))


async def test_putting_again_replaces_the_object(case: StoreCase) -> None:
    async with case.store as store:
        await store.put_object(case.bucket, "a", b"old", header(b"old"), DEFAULTS)
        etag = await store.put_object(case.bucket, "a", b"newer", header(b"newer"), DEFAULTS)
        assert await store.head(case.bucket, "a") == case.shows("a", 5, etag, header(b"newer"))
        assert len(await listed(store, case.bucket)) == 1


async def fetched(store: ObjectStore, bucket: str, key: str) -> bytes:
    return b"".join([piece async for piece in store.get_object(bucket, key)])


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_001])
async def test_an_object_comes_back_as_it_was_put(case: StoreCase, size: int) -> None:
    body = secrets.token_bytes(size)
    async with case.store as store:
        await store.put_object(case.bucket, "run/a b+ü.json", body, header(body), DEFAULTS)
        assert await fetched(store, case.bucket, "run/a b+ü.json") == body


async def test_an_object_of_parts_comes_back_as_a_whole(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "big", [BIG, SMALL], sums=True)
        await store.complete_multipart(case.bucket, "big", upload_id, parts, header(BIG, SMALL))
        assert await fetched(store, case.bucket, "big") == BIG + SMALL


async def test_what_is_not_there_cannot_be_fetched(case: StoreCase) -> None:
    async with case.store as store:
        with pytest.raises(NoSuchKey):
            await fetched(store, case.bucket, "nothing/here")
        with pytest.raises(NoSuchBucket):
            await fetched(store, case.bucket + "-gone", "a")


async def test_more_objects_can_be_left_half_read_than_there_are_connections(case: StoreCase) -> None:
    """Each takes its connection with it; the next request has to have one all the same."""
    async with case.store as store:
        await store.put_object(case.bucket, "big", BIG, header(BIG), DEFAULTS)
        for _ in range(20):
            pieces = store.get_object(case.bucket, "big")
            assert BIG.startswith(await anext(pieces))
            await pieces.aclose()
        assert await fetched(store, case.bucket, "big") == BIG


async def test_an_object_that_is_cut_off_on_its_way_is_transient(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    _, server = proxy_for(moto_server, Rule(on("GetObject"), CutAnswer()))
    async with real_store(access_to(server), connections=2) as store:
        await store.put_object(bucket, "a", BIG, None, DEFAULTS)
        with pytest.raises(Transient):
            await fetched(store, bucket, "a")


async def test_an_object_that_stops_coming_is_transient(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    _, server = proxy_for(moto_server, Rule(on("GetObject"), StallAnswer()))
    async with real_store(access_to(server), connections=2, page_limit_s=0.5) as store:
        await store.put_object(bucket, "a", BIG, None, DEFAULTS)
        with pytest.raises(Transient):
            await fetched(store, bucket, "a")


@pytest.mark.parametrize("damaged", [False, True])
async def test_an_object_is_compared_with_the_checksum_that_comes_with_it(real_store: RealStore, damaged: bool) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(SMALL)}\r\nx-amz-checksum-crc64nvme: {header(SMALL)}\r\n\r\n"
    sent = bytes([SMALL[0] ^ 1]) + SMALL[1:] if damaged else SMALL

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + sent)
        await writer.drain()
        await reader.read()

    async with raw_server(serve) as port:
        access = AwsAccess(access_key="K", secret_key="S", endpoint_url=f"http://127.0.0.1:{port}", region=REGION)
        async with real_store(access, connections=2) as store:
            if damaged:
                with pytest.raises(Transient):
                    await fetched(store, "bucket", "a")
            else:
                assert await fetched(store, "bucket", "a") == SMALL


async def test_head_of_nothing_is_none(case: StoreCase) -> None:
    async with case.store as store:
        assert await store.head(case.bucket, "nothing/here") is None


async def test_a_listing_holds_the_prefix_only_in_the_order_of_keys(case: StoreCase) -> None:
    async with case.store as store:
        for key in ("run1/b", "run1/a", "run2/a", "run1/c/d", "run10/a"):
            await store.put_object(case.bucket, key, key.encode(), None, DEFAULTS)
        assert [entry.key for entry in await listed(store, case.bucket, "run1/")] == ["run1/a", "run1/b", "run1/c/d"]
        assert await listed(store, case.bucket, "no such prefix") == []


async def test_a_listing_goes_on_beyond_its_first_page(case: StoreCase) -> None:
    keys = [f"many/{number:04d}" for number in range(1_010)]
    async with case.store as store:
        waiting = iter(keys)

        async def put_some() -> None:
            for key in waiting:
                await store.put_object(case.bucket, key, b"x", None, DEFAULTS)

        await asyncio.gather(*(put_some() for _ in range(16)))
        assert [entry.key for entry in await listed(store, case.bucket, "many/")] == keys


@pytest.mark.parametrize("how", ["put", "multipart"])
async def test_odd_names_arrive_as_they_are(case: StoreCase, how: str) -> None:
    keys = [f"odd/{name}" for name in ODD_NAMES]
    async with case.store as store:
        etags = {}
        for key in keys:
            body = key.encode()
            if how == "put":
                etags[key] = await store.put_object(case.bucket, key, body, header(body), DEFAULTS)
            else:
                upload_id, parts = await in_parts(case, key, [body], sums=True)
                etags[key] = await store.complete_multipart(case.bucket, key, upload_id, parts, header(body))
        expected = [case.shows(key, len(key.encode()), etags[key], header(key.encode()), how) for key in keys]
        assert [await store.head(case.bucket, key) for key in keys] == expected
        if case.server is not None:
            for key in keys:
                assert await asyncio.to_thread(case.server.body, case.bucket, key) == key.encode()
        shown = {entry.key for entry in await listed(store, case.bucket, "odd/")}
        if case.lists_backslashes:
            assert shown == set(keys)
        else:
            assert shown == {key.replace("\\", "/") for key in keys}


@pytest.mark.parametrize("sums", [True, False], ids=["with checksum", "without checksum"])
async def test_parts_are_joined_in_order(case: StoreCase, sums: bool) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "big", [BIG, BIG[::-1], SMALL], sums=sums)
        whole = header(BIG, BIG[::-1], SMALL) if sums else None
        assert await store.head(case.bucket, "big") is None
        etag = await store.complete_multipart(case.bucket, "big", upload_id, parts, whole)
        assert '"' not in etag
        size = 2 * len(BIG) + len(SMALL)
        assert await store.head(case.bucket, "big") == case.shows("big", size, etag, whole, "multipart")
    if case.server is not None:
        assert await asyncio.to_thread(case.server.body, case.bucket, "big") == BIG + BIG[::-1] + SMALL
        assert await asyncio.to_thread(case.server.uploads_in_progress, case.bucket) == []


async def test_the_combined_checksum_is_that_of_the_whole(case: StoreCase) -> None:
    combined = checksum.combined([(checksum.crc_of(BIG), len(BIG)), (checksum.crc_of(SMALL), len(SMALL))])
    async with case.store as store:
        upload_id, parts = await in_parts(case, "big", [BIG, SMALL], sums=True)
        await store.complete_multipart(case.bucket, "big", upload_id, parts, checksum.as_header(combined))
        assert combined == checksum.crc_of(BIG + SMALL)


async def test_of_a_part_sent_twice_the_last_counts(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, _ = await in_parts(case, "a", [b"first"], sums=True)
        etag = await store.upload_part(case.bucket, "a", upload_id, 1, b"second", header(b"second"))
        part = UploadedPart(1, etag, header(b"second"))
        await store.complete_multipart(case.bucket, "a", upload_id, [part], header(b"second"))
        found = await store.head(case.bucket, "a")
        assert found is not None
        assert found.size == len(b"second")


async def test_each_begin_is_another_upload(case: StoreCase) -> None:
    async with case.store as store:
        first = await store.create_multipart(case.bucket, "a", checksum=False, settings=DEFAULTS)
        second = await store.create_multipart(case.bucket, "a", checksum=False, settings=DEFAULTS)
        assert first != second
        await store.abort_multipart(case.bucket, "a", first)
        etag = await store.upload_part(case.bucket, "a", second, 1, SMALL, None)
        await store.complete_multipart(case.bucket, "a", second, [UploadedPart(1, etag, None)], None)
        assert await store.head(case.bucket, "a") is not None


async def test_completing_twice_changes_nothing(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True)
        etag = await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
        again = store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
        if case.completes_once:
            with pytest.raises(NoSuchUpload):
                await again
        else:
            assert await again == etag
        found = await store.head(case.bucket, "a")
        assert found == case.shows("a", len(SMALL), etag, header(SMALL), "multipart")


async def test_an_aborted_upload_is_gone_and_may_be_aborted_again(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True)
        await store.abort_multipart(case.bucket, "a", upload_id)
        await store.abort_multipart(case.bucket, "a", upload_id)
        refusal = NoSuchUpload if case.knows_gone_uploads else Transient
        with pytest.raises(refusal):
            await store.upload_part(case.bucket, "a", upload_id, 1, SMALL, header(SMALL))
        with pytest.raises(refusal):
            await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
        assert await store.head(case.bucket, "a") is None


async def test_a_wrong_part_is_refused_at_completion_and_the_upload_stays(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True)
        wrong = [replace(parts[0], etag="0" * 32)]
        with pytest.raises(Rejected):
            await store.complete_multipart(case.bucket, "a", upload_id, wrong, header(SMALL))
        missing = [*parts, replace(parts[0], number=2)]
        with pytest.raises(Rejected):
            await store.complete_multipart(case.bucket, "a", upload_id, missing, header(SMALL))
        await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))


async def test_parts_out_of_order_are_refused(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [BIG, SMALL], sums=True)
        with pytest.raises(Rejected):
            await store.complete_multipart(case.bucket, "a", upload_id, parts[::-1], header(BIG, SMALL))


async def test_a_small_part_that_is_not_the_last_is_refused(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL, SMALL], sums=True)
        with pytest.raises(Rejected):
            await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL, SMALL))


async def test_a_body_that_differs_from_its_checksum_is_refused(case: StoreCase) -> None:
    wrong = header(b"something else")
    async with case.store as store:
        upload_id, parts = await in_parts(case, "b", [SMALL], sums=True)
        calls: list[Awaitable[str]] = [
            store.put_object(case.bucket, "a", SMALL, wrong, DEFAULTS),
            store.upload_part(case.bucket, "b", upload_id, 1, SMALL, wrong),
            store.complete_multipart(case.bucket, "b", upload_id, parts, wrong),
        ]
        for call in calls:
            if case.checks_sums:
                with pytest.raises(Transient):
                    await call
            else:
                await call
        if case.checks_sums:
            assert await listed(store, case.bucket) == []


async def test_a_missing_bucket_is_said_by_every_call(case: StoreCase, bucket_name: Callable[..., str]) -> None:
    missing = bucket_name("missing")
    part = UploadedPart(1, "0" * 32, header(SMALL))
    async with case.store as store:
        calls: list[Awaitable[object]] = [
            store.check_bucket(missing),
            store.put_object(missing, "a", SMALL, header(SMALL), DEFAULTS),
            store.create_multipart(missing, "a", checksum=True, settings=DEFAULTS),
            uploads_of(store, missing),
            listed(store, missing),
        ]
        for call in calls:
            with pytest.raises(NoSuchBucket):
                await call
        # of an upload in it, a server may look for either first
        with pytest.raises((NoSuchBucket, NoSuchUpload)):
            await store.upload_part(missing, "a", "no-such-upload", 1, SMALL, header(SMALL))
        with pytest.raises((NoSuchBucket, NoSuchUpload)):
            await store.complete_multipart(missing, "a", "no-such-upload", [part], header(SMALL))
        with pytest.raises((NoSuchBucket, NoSuchUpload)):
            await store.list_parts(missing, "a", "no-such-upload")
        assert await store.head(missing, "a") is None  # an answer to HEAD has no body to tell the two apart


async def test_a_bucket_that_is_there_passes_its_check(case: StoreCase) -> None:
    async with case.store as store:
        await store.check_bucket(case.bucket)


async def test_many_calls_may_run_at_a_time(case: StoreCase) -> None:
    async with case.store as store:
        bodies = {f"k{number}": secrets.token_bytes(2000) for number in range(40)}
        etags = await asyncio.gather(
            *(store.put_object(case.bucket, key, body, header(body), DEFAULTS) for key, body in bodies.items())
        )
        found = {entry.key: entry.etag for entry in await listed(store, case.bucket)}
        assert found == dict(zip(bodies, etags, strict=True))


# uploads in progress


async def test_the_parts_of_an_upload_are_listed_in_order_with_sizes_and_etags(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [b"1", b"22"], sums=True)
        twelfth = await store.upload_part(case.bucket, "a", upload_id, 12, SMALL, header(SMALL))
        assert await store.list_parts(case.bucket, "a", upload_id) == [
            ListedPart(1, 1, parts[0].etag),
            ListedPart(2, 2, parts[1].etag),
            ListedPart(12, len(SMALL), twelfth),
        ]


async def test_a_part_that_was_sent_again_is_listed_as_it_is_now(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [b"1", b"22"], sums=True)
        same = await store.upload_part(case.bucket, "a", upload_id, 2, b"22", header(b"22"))
        other = await store.upload_part(case.bucket, "a", upload_id, 1, b"333", header(b"333"))
        found = await store.list_parts(case.bucket, "a", upload_id)
        expected = [ListedPart(1, 3, other), ListedPart(2, 2, same)]
        if case.forgets_replaced_parts:
            assert found == expected
        else:
            assert set(found) == {*expected, ListedPart(1, 1, parts[0].etag)}
            assert [part.number for part in found] == sorted(part.number for part in found)


async def test_an_upload_without_parts_lists_none(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, _ = await in_parts(case, "a", [], sums=True)
        assert await store.list_parts(case.bucket, "a", upload_id) == []


async def test_what_was_sent_before_can_be_completed_with_the_etags_of_the_listing(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, _ = await in_parts(case, "a", [BIG, SMALL], sums=True)
        found = await store.list_parts(case.bucket, "a", upload_id)
        parts = [
            UploadedPart(part.number, part.etag, header(part_body))
            for part, part_body in zip(found, [BIG, SMALL], strict=True)
        ]
        etag = await store.complete_multipart(case.bucket, "a", upload_id, parts, header(BIG, SMALL))
        size = len(BIG) + len(SMALL)
        shown = await store.head(case.bucket, "a")
        assert shown == case.shows("a", size, etag, header(BIG, SMALL), "multipart")


@pytest.mark.parametrize("end", ["completed", "aborted", "never begun", "another key's"])
async def test_an_upload_that_is_not_there_has_no_parts_to_list(case: StoreCase, end: str) -> None:
    key = "a"
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True)
        if end == "completed":
            await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
        elif end == "aborted":
            await store.abort_multipart(case.bucket, "a", upload_id)
        elif end == "never begun":
            upload_id = "no-such-upload"
        else:
            key = "b"
        if end == "another key's" and not case.ties_uploads_to_keys:
            assert len(await store.list_parts(case.bucket, key, upload_id)) == 1
            return
        with pytest.raises(NoSuchUpload):
            await store.list_parts(case.bucket, key, upload_id)


async def test_parts_beyond_the_first_page_are_listed_too(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, _ = await in_parts(case, "a", [], sums=False)
        numbers = iter(range(1, 1_006))

        async def send_some() -> None:
            for number in numbers:
                await store.upload_part(case.bucket, "a", upload_id, number, b"x", None)

        await asyncio.gather(*(send_some() for _ in range(16)))
        found = await store.list_parts(case.bucket, "a", upload_id)
        assert [part.number for part in found] == list(range(1, 1_006))


async def test_uploads_in_progress_are_listed_by_prefix_until_they_end(case: StoreCase) -> None:
    async with case.store as store:
        begun = {}
        for key in ("run/a", "run/b", "run/b", "run10/a", "other"):
            upload_id, _ = await in_parts(case, key, [SMALL], sums=True)
            begun[upload_id] = key
        everything = {(key, upload_id) for upload_id, key in begun.items()}
        assert await uploads_of(store, case.bucket) == everything
        assert await uploads_of(store, case.bucket, "run/") == {(k, i) for k, i in everything if k[:4] == "run/"}
        assert await uploads_of(store, case.bucket, "run/b") == {(k, i) for k, i in everything if k == "run/b"}
        assert await uploads_of(store, case.bucket, "nothing") == set()
        gone = next(upload_id for upload_id, key in begun.items() if key == "run/b")
        await store.abort_multipart(case.bucket, "run/b", gone)
        assert await uploads_of(store, case.bucket) == everything - {("run/b", gone)}


async def test_an_upload_that_was_completed_is_not_listed_any_more(case: StoreCase) -> None:
    async with case.store as store:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True)
        await store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
        assert await uploads_of(store, case.bucket) == set()


async def test_odd_names_of_uploads_are_listed_as_they_are(case: StoreCase) -> None:
    async with case.store as store:
        begun = {(f"odd/{name}", (await in_parts(case, f"odd/{name}", [], sums=False))[0]) for name in ODD_NAMES}
        if not case.lists_backslashes:
            begun = {(key.replace("\\", "/"), upload_id) for key, upload_id in begun}
        assert await uploads_of(store, case.bucket, "odd/") == begun


# settings of objects

SETTINGS = ObjectSettings(
    storage_class="STANDARD_IA", tags=(("lab", "A 1"), ("run type", "wgs/x")), metadata=(("sequencer", "A01295 a"),)
)


async def send_with(case: StoreCase, settings: ObjectSettings, how: str) -> ObjectInfo | None:
    """Send an object either way and return what HEAD shows of it."""
    if how == "put":
        await case.store.put_object(case.bucket, "a", SMALL, header(SMALL), settings)
    else:
        upload_id, parts = await in_parts(case, "a", [SMALL], sums=True, settings=settings)
        await case.store.complete_multipart(case.bucket, "a", upload_id, parts, header(SMALL))
    return await case.store.head(case.bucket, "a")


async def properties(case: StoreCase) -> dict[str, Any]:
    """Return what another client is told of the object: HEAD, and its tags."""
    assert case.server is not None
    client = case.server.client()
    found: dict[str, Any] = await asyncio.to_thread(client.head_object, Bucket=case.bucket, Key="a")
    tagging = await asyncio.to_thread(client.get_object_tagging, Bucket=case.bucket, Key="a")
    return found | {"tags": {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}}


either_way = pytest.mark.parametrize("how", ["put", "multipart"])


@either_way
async def test_class_tags_and_metadata_arrive(case: StoreCase, how: str) -> None:
    async with case.store:
        await send_with(case, SETTINGS, how)
        if isinstance(case.store, MemoryStore):
            assert case.store.objects[case.bucket]["a"].settings == SETTINGS
            return
    found = await properties(case)
    assert found["StorageClass"] == "STANDARD_IA"
    assert found["tags"] == {"lab": "A 1", "run type": "wgs/x"}
    assert found["Metadata"] == {"sequencer": "A01295 a"}


@either_way
async def test_without_settings_the_bucket_decides(case: StoreCase, how: str) -> None:
    async with case.store:
        await send_with(case, DEFAULTS, how)
    if case.server is None:
        return
    found = await properties(case)
    assert found.get("StorageClass", "STANDARD") == "STANDARD"
    assert (found["tags"], found["Metadata"], found.get("ServerSideEncryption")) == ({}, {}, None)


@either_way
async def test_encryption_with_a_key_of_s3_arrives(case: StoreCase, how: str) -> None:
    settings = ObjectSettings(server_side_encryption="AES256")
    async with case.store:
        if not case.encrypts:
            with pytest.raises(Transient):
                await send_with(case, settings, how)
            return
        shown = await send_with(case, settings, how)
        assert shown is not None
        assert not shown.opaque_etag
    if case.server is not None:
        assert (await properties(case))["ServerSideEncryption"] == "AES256"


@either_way
async def test_an_object_encrypted_by_kms_has_an_etag_that_proves_nothing(case: StoreCase, how: str) -> None:
    settings = ObjectSettings(server_side_encryption="aws:kms", kms_key_id="alias/lab")
    async with case.store:
        if not case.encrypts:
            with pytest.raises(Transient):
                await send_with(case, settings, how)
            return
        shown = await send_with(case, settings, how)
        assert shown is not None
        assert shown.opaque_etag
    if case.server is not None:
        found = await properties(case)
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/lab")


@either_way
async def test_a_bucket_of_another_account_than_expected_is_denied(case: StoreCase, how: str) -> None:
    async with case.store:
        if case.knows_owners:
            with pytest.raises(AccessDenied):
                await send_with(case, ObjectSettings(expected_bucket_owner="999999999999"), how)
        await send_with(case, ObjectSettings(expected_bucket_owner=OWNER), how)


async def test_owner_and_acl_are_sent_with_both_kinds_of_upload(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    proxy, server = proxy_for(moto_server)
    settings = ObjectSettings(acl="bucket-owner-full-control", expected_bucket_owner=OWNER)
    async with real_store(access_to(server), connections=2) as store:
        await store.put_object(bucket, "a", SMALL, None, settings)
        await store.create_multipart(bucket, "a", checksum=True, settings=settings)
    for seen in proxy.seen:
        assert seen.headers["x-amz-acl"] == "bucket-owner-full-control"
        assert seen.headers["x-amz-expected-bucket-owner"] == OWNER
    assert [seen.operation for seen in proxy.seen] == ["PutObject", "CreateMultipartUpload"]


# credentials that expire


def write_credentials(path: Path, key: str) -> None:
    path.write_text(f"[lab]\naws_access_key_id = {key}\naws_secret_access_key = secret of {key}\n")


async def test_after_expired_credentials_the_next_request_is_signed_with_fresh_ones(
    real_store: RealStore,
    moto_server: S3Server,
    proxy_for: ProxyFor,
    bucket_name: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    credentials = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    write_credentials(credentials, "OLDKEY")
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(400, "ExpiredToken"), times=2))
    access = AwsAccess(profile="lab", endpoint_url=server.endpoint, region=REGION)
    async with real_store(access, connections=2) as store:
        write_credentials(credentials, "NEWKEY")
        await store.refresh()  # nothing has expired: it does nothing
        with pytest.raises(ExpiredCredentials):
            await store.put_object(bucket, "a", SMALL, None, DEFAULTS)
        await store.refresh()
        with pytest.raises(ExpiredCredentials):
            await store.put_object(bucket, "a", SMALL, None, DEFAULTS)
        write_credentials(credentials, "NEWERKEY")
        await store.refresh()
        write_credentials(credentials, "UNUSED")
        await store.refresh()
        await store.put_object(bucket, "a", SMALL, None, DEFAULTS)
    signed_with = [seen.headers["authorization"].partition("Credential=")[2].split("/")[0] for seen in proxy.seen]
    assert signed_with == ["OLDKEY", "NEWKEY", "NEWERKEY"]
    assert "expect" not in proxy.seen[-1].headers


async def test_requests_that_expire_together_cost_one_new_client(
    real_store: RealStore,
    moto_server: S3Server,
    proxy_for: ProxyFor,
    bucket_name: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    held = Hold(Answer(400, "ExpiredToken"))
    proxy, server = proxy_for(
        moto_server, Rule(on("PutObject"), Answer(400, "ExpiredToken"), times=1), Rule(on("PutObject"), held, times=1)
    )
    created: list[str | None] = []
    create = AiobotocoreStore._create

    async def counted(store: AiobotocoreStore, region: str | None) -> Any:
        created.append(region)
        return await create(store, region)

    monkeypatch.setattr(AiobotocoreStore, "_create", counted)
    async with real_store(access_to(server), connections=2) as store:
        with pytest.raises(ExpiredCredentials):
            await store.put_object(bucket, "a", SMALL, None, DEFAULTS)
        late = asyncio.create_task(store.put_object(bucket, "b", SMALL, None, DEFAULTS))
        await asyncio.to_thread(proxy.wait_for, on("PutObject"), 2)
        await store.refresh()
        held.release()
        with pytest.raises(ExpiredCredentials):
            await late
        await store.refresh()  # what expired was the old client's: the new one is fresh
        await store.put_object(bucket, "b", SMALL, None, DEFAULTS)
    assert len(created) == 2


async def every_call(store: ObjectStore, bucket: str) -> list[Exception | None]:
    """Return what each kind of call raises."""

    async def error_of(call: Awaitable[object]) -> Exception | None:
        try:
            await call
        except Exception as error:
            return error
        return None

    part = UploadedPart(1, "0" * 32, header(SMALL))
    calls: list[Awaitable[object]] = [
        store.check_bucket(bucket),
        store.put_object(bucket, "a", SMALL, header(SMALL), DEFAULTS),
        store.create_multipart(bucket, "a", checksum=True, settings=DEFAULTS),
        store.upload_part(bucket, "a", "id", 1, SMALL, header(SMALL)),
        store.complete_multipart(bucket, "a", "id", [part], header(SMALL)),
        store.abort_multipart(bucket, "a", "id"),
        store.head(bucket, "a"),
        fetched(store, bucket, "a"),
        store.list_parts(bucket, "a", "id"),
        uploads_of(store, bucket),
        listed(store, bucket),
    ]
    return [await error_of(call) for call in calls]


async def test_without_a_connection_every_call_is_transient(real_store: RealStore) -> None:
    access = AwsAccess(access_key="K", secret_key="S", endpoint_url="http://127.0.0.1:1", region=REGION)
    async with real_store(access, connections=2) as store:
        for error in await every_call(store, "bucket"):
            assert isinstance(error, Transient), error


async def test_a_server_that_hangs_up_is_transient(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor
) -> None:
    _, server = proxy_for(moto_server, Rule(every, Cut()))
    async with real_store(access_to(server), connections=2) as store:
        for error in await every_call(store, "bucket"):
            assert isinstance(error, Transient), error


async def test_an_overloaded_server_is_transient(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor
) -> None:
    proxy, server = proxy_for(moto_server, Rule(every, Answer(503, "SlowDown")))
    async with real_store(access_to(server), connections=2) as store:
        for error in await every_call(store, "bucket"):
            assert isinstance(error, Transient), error
    assert len(proxy.seen) == 11, "the library below retried on its own"


async def test_keys_that_nobody_knows_are_bad_credentials(
    real_store: RealStore, seaweed: S3Server, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(seaweed.make_bucket, bucket_name())
    access = replace(access_to(seaweed), access_key="UNKNOWNKEY")
    async with real_store(access, connections=2) as store:
        with pytest.raises(BadCredentials):
            await store.check_bucket(bucket)
        with pytest.raises(BadCredentials):
            await store.put_object(bucket, "a", SMALL, header(SMALL), DEFAULTS)


async def test_a_wrong_secret_is_denied(
    real_store: RealStore, seaweed: S3Server, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(seaweed.make_bucket, bucket_name())
    access = replace(access_to(seaweed), secret_key="wrong")
    async with real_store(access, connections=2) as store:
        with pytest.raises(AccessDenied):
            await store.check_bucket(bucket)
        with pytest.raises(AccessDenied):
            await store.put_object(bucket, "a", SMALL, header(SMALL), DEFAULTS)
        with pytest.raises(AccessDenied):
            await store.head(bucket, "a")


async def test_no_credentials_at_all_are_said_when_the_store_opens(
    real_store: RealStore, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadCredentials, match="no usable AWS credentials"):
        async with real_store(AwsAccess(endpoint_url=moto_server.endpoint), connections=2):
            pass


async def test_an_unknown_profile_is_bad_credentials(real_store: RealStore) -> None:
    with pytest.raises(BadCredentials, match="nobody"):
        async with real_store(AwsAccess(profile="nobody"), connections=2):
            pass


async def test_an_endpoint_that_is_no_url_is_a_store_error(real_store: RealStore) -> None:
    access = AwsAccess(access_key="K", secret_key="S", endpoint_url="nonsense")
    with pytest.raises(StoreError, match="nonsense"):
        async with real_store(access, connections=2):
            pass


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Answer(403), AccessDenied),
        (Answer(400), AccessDenied),
        (Answer(404), NoSuchBucket),
        (Answer(503), Transient),
        (Answer(405), Rejected),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else value.__name__,
)
async def test_a_refused_head_of_the_bucket_is_understood(
    real_store: RealStore,
    moto_server: S3Server,
    proxy_for: ProxyFor,
    bucket_name: Callable[..., str],
    refusal: Answer,
    expected: type[StoreError],
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    _, server = proxy_for(moto_server, Rule(on("HeadBucket"), refusal))
    async with real_store(access_to(server), connections=2) as store:
        with pytest.raises(expected):
            await store.check_bucket(bucket)


async def test_the_reason_of_a_refused_bucket_comes_from_its_listing(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    _, server = proxy_for(
        moto_server,
        Rule(on("HeadBucket"), Answer(403)),
        Rule(on("ListObjectsV2"), Answer(403, "InvalidAccessKeyId")),
    )
    async with real_store(access_to(server), connections=2) as store:
        with pytest.raises(BadCredentials, match="InvalidAccessKeyId"):
            await store.check_bucket(bucket)


async def test_a_bucket_that_is_refused_but_listed_is_told_as_that(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    _, server = proxy_for(moto_server, Rule(on("HeadBucket"), Answer(403)))
    async with real_store(access_to(server), connections=2) as store:
        with pytest.raises(AccessDenied, match="S3 answered 403 to HeadBucket, although it lists the bucket"):
            await store.check_bucket(bucket)


async def test_the_library_below_does_not_wait_for_a_100_continue(
    real_store: RealStore, moto_server: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str]
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    proxy, server = proxy_for(moto_server)
    async with real_store(access_to(server), connections=2) as store:
        await store.put_object(bucket, "a", SMALL, header(SMALL), DEFAULTS)
    (seen,) = proxy.seen
    assert "expect" not in seen.headers
    assert seen.headers["x-amz-checksum-crc64nvme"] == header(SMALL)
