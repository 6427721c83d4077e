"""Listings are read as botocore would read them, or left to it."""

import asyncio
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.messages import AwsAccess
from async_s3_upload.transfer.stores.listing import split_listing
from async_s3_upload.transfer.stores.store import ObjectInfo
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from tests.support.raw_server import raw_server

KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
ETAGS = st.from_regex(r"[0-9a-f]{32}(-[1-9][0-9]?)?", fullmatch=True)
OBJECTS = st.lists(st.tuples(KEYS, st.integers(0, 5 * 2**40), ETAGS), max_size=5)
HEAD = "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
TAIL = "<IsTruncated>false</IsTruncated><KeyCount>1</KeyCount></ListBucketResult>"


def document(
    objects: list[tuple[str, int, str]], *, quoted: bool, begin: str = "<Contents>", mark: str = "&quot;"
) -> bytes:
    entries = "".join(
        f"{begin}<Key>{escape(quote(key) if quoted else key)}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>"
        f"<ETag>{mark}{etag}{mark}</ETag><Size>{size}</Size><Owner><ID>x</ID></Owner></Contents>"
        for key, size, etag in objects
    )
    encoding = "<EncodingType>url</EncodingType>" if quoted else ""
    return f"{HEAD}{encoding}{entries}{TAIL}".encode()


async def listed(body: bytes) -> list[ObjectInfo]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async with raw_server(serve) as port:
        access = AwsAccess(access_key="K", secret_key="S", endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1")
        async with AiobotocoreStore(access, connections=1) as store:
            return [found async for found in store.list_objects("bucket", "")]


@settings(deadline=None)
@given(OBJECTS, st.booleans(), st.sampled_from(["&quot;", "&#34;", "&#x22;", '"']))
def test_objects_are_read_as_they_are(objects: list[tuple[str, int, str]], quoted: bool, mark: str) -> None:
    body = document(objects, quoted=quoted, mark=mark)
    found = split_listing(body)
    if not objects:
        assert found is None
        return
    assert found is not None
    rest, entries = found
    keys = [quote(key) if quoted else key for key, _, _ in objects]
    assert [entry["Key"] for entry in entries] == keys
    assert [entry | {"Key": key} for entry, (key, _, _) in zip(entries, objects, strict=True)] == [
        {"Key": key, "ETag": f'"{etag}"', "Size": size} for key, size, etag in objects
    ]
    assert rest == document([], quoted=quoted)


@pytest.mark.parametrize("begin", ["<Contents>", "<Contents >"], ids=["read here", "left to botocore"])
@pytest.mark.parametrize("quoted", [True, False])
async def test_both_ways_of_reading_give_the_same(begin: str, quoted: bool) -> None:
    objects = [("a b/&amp;<>+%.bcl", 7, "0" * 32), ("ü", 2**41, "1" * 32 + "-3"), ("run/\"'", 0, "2" * 32)]
    body = document(objects, quoted=quoted, begin=begin)
    assert (split_listing(body) is None) == (begin != "<Contents>")
    assert await listed(body) == [ObjectInfo(key, size, etag) for key, size, etag in objects]


@pytest.mark.parametrize(
    "odd",
    [
        document([("a", 1, "e")], quoted=True).replace(b"<Size>1", b"<Size>"),
        document([("a", 1, "e")], quoted=True).replace(b"<ETag>", b"<Etag>"),
        document([("a", 1, "e")], quoted=True).replace(b"<Key>a", b"<Key><![CDATA[a]]>"),
        b"",
        b"</Contents><Contents>",
    ],
)
def test_what_looks_different_is_left_to_botocore(odd: bytes) -> None:
    assert split_listing(odd) is None
