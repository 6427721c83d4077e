"""The sink as S3 clients see it: over HTTP and, the same, over TLS."""

import hashlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.destination import SinkDestination, running_sink
from benchmarks.tls import expand_label

ODD = "dir/a b+c&d?e=f#g%20'(\"<é한\\[~]..//x"


@pytest.fixture(scope="module", params=["http", "https"])
def sink(request: pytest.FixtureRequest) -> Iterator[SinkDestination]:
    with running_sink(tls=request.param == "https") as running:
        yield running


@pytest.fixture
def client(sink: SinkDestination) -> Iterator[Any]:
    sink.mark()
    client = boto3.client(
        "s3",
        endpoint_url=sink.url,
        verify=sink.ca_file or None,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def connect(sink: SinkDestination) -> socket.socket:
    host, _, port = sink.url.partition("://")[2].partition(":")
    raw = socket.create_connection((host, int(port)), timeout=10)
    if not sink.ca_file:
        return raw
    return ssl.create_default_context(cafile=sink.ca_file).wrap_socket(raw, server_hostname=host)


def answer_of(connection: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response


def put(sizes: str, close: bool = False) -> bytes:
    ending = "Connection: close\r\n" if close else ""
    return f"PUT /bucket/key HTTP/1.1\r\nHost: sink\r\n{ending}{sizes}\r\n\r\n".encode()


def test_what_boto3_sends_by_default_is_stored_under_its_name_and_size(sink: SinkDestination, client: Any) -> None:
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key=ODD, Body=b"x" * 100_000, Metadata={"mtime": "12"})  # aws-chunked over TLS
    found = client.head_object(Bucket="bucket", Key=ODD)
    assert (found["ContentLength"], found["Metadata"]) == (100_000, {"mtime": "12"})
    (listed,) = client.list_objects_v2(Bucket="bucket")["Contents"]
    assert (listed["Key"], listed["Size"], listed["ETag"]) == (ODD, 100_000, found["ETag"])
    received = sink.received("bucket", "")
    assert (received.objects, received.bytes) == (1, 100_000)


def test_an_etag_is_the_md5_where_the_client_says_it(client: Any) -> None:
    parts = [b"a" * 5_000_000, b"b" * 300]
    digests = [hashlib.md5(part).digest() for part in parts]
    upload = client.create_multipart_upload(Bucket="bucket", Key="key", Metadata={"md5chksum": "sum"})["UploadId"]
    for number, part in enumerate(parts, start=1):
        sent = client.upload_part(
            Bucket="bucket",
            Key="key",
            UploadId=upload,
            PartNumber=number,
            Body=part,
            ContentMD5=_base64(digests[number - 1]),
        )
        assert sent["ETag"] == f'"{digests[number - 1].hex()}"'
    listed = client.list_parts(Bucket="bucket", Key="key", UploadId=upload, MaxParts=1)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 5_000_000)]
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 1)
    (unfinished,) = client.list_multipart_uploads(Bucket="bucket")["Uploads"]
    assert unfinished["UploadId"] == upload
    etag = client.complete_multipart_upload(Bucket="bucket", Key="key", UploadId=upload)["ETag"]
    assert etag == f'"{hashlib.md5(b"".join(digests)).hexdigest()}-2"'
    found = client.head_object(Bucket="bucket", Key="key")
    assert (found["ContentLength"], found["ETag"], found["Metadata"]) == (5_000_300, etag, {"md5chksum": "sum"})


def test_an_unknown_or_aborted_upload_takes_no_parts(client: Any) -> None:
    upload = client.create_multipart_upload(Bucket="bucket", Key="key")["UploadId"]
    client.abort_multipart_upload(Bucket="bucket", Key="key", UploadId=upload)
    where = {"Bucket": "bucket", "Key": "key", "UploadId": upload}
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.upload_part(**where, PartNumber=1, Body=b"x")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.complete_multipart_upload(**where)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.list_parts(**where)


def test_listings_page_and_group_by_a_delimiter(client: Any) -> None:
    keys = ["a/1", "a/2", "b", "c/d/3", "c/e/4", "c5"]
    for key in keys:
        client.put_object(Bucket="bucket", Key=key, Body=b"1")
    for call in ("list_objects_v2", "list_objects"):
        pages = list(client.get_paginator(call).paginate(Bucket="bucket", PaginationConfig={"PageSize": 2}))
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
        assert len(pages) == 3
        pages = list(
            client.get_paginator(call).paginate(Bucket="bucket", Delimiter="/", PaginationConfig={"PageSize": 1})
        )
        shown = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        grouped = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        assert (shown, grouped) == (["b", "c5"], ["a/", "c/"])
    found = client.list_objects_v2(Bucket="bucket", Prefix="c/", Delimiter="/")
    assert [entry["Prefix"] for entry in found["CommonPrefixes"]] == ["c/d/", "c/e/"]
    assert "Contents" not in client.list_objects_v2(Bucket="other")


def test_what_is_deleted_is_gone(sink: SinkDestination, client: Any) -> None:
    for key in ("1", "2", "a & <b>"):
        client.put_object(Bucket="bucket", Key=key, Body=b"1")
    client.delete_object(Bucket="bucket", Key="1")
    client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "a & <b>"}, {"Key": "none"}]})
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket="bucket")["Contents"]] == ["2"]
    assert sink.received("bucket", "").objects == 1


def test_buckets_are_there_and_plain(client: Any) -> None:
    assert client.get_bucket_location(Bucket="bucket")["LocationConstraint"] is None
    assert "Status" not in client.get_bucket_versioning(Bucket="bucket")
    assert client.list_buckets()["Buckets"] == []


def test_an_answer_longer_than_the_socket_takes_arrives_whole(sink: SinkDestination, client: Any) -> None:
    long = "k" * 900
    with closing(connect(sink)) as connection:
        for number in range(1000):
            connection.sendall(
                f"PUT /long/{long}{number:04} HTTP/1.1\r\nHost: sink\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert answer_of(connection).status == 200
        listing = b"GET /long?list-type=2 HTTP/1.1\r\nHost: sink\r\n\r\n"
        last = listing.replace(b"Host: sink", b"Connection: close")
        connection.sendall(19 * listing + last)  # 20 MB that nobody reads for now
        assert sink.counts().kept_objects == 1000  # it serves others meanwhile
        data = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        assert (data.count(b"HTTP/1.1 200 OK"), data.count(b"<Key>")) == (20, 20_000)


@pytest.mark.parametrize("size", [0, 1, 1023, 16_384 - 1, 16_384, 16_385, 65_536, 1_048_577, 3_000_000])
def test_a_body_of_any_length_ends_where_it_ends(sink: SinkDestination, client: Any, size: int) -> None:
    before = sink.counts()
    with closing(connect(sink)) as connection:
        for _ in range(2):
            connection.sendall(put(f"Content-Length: {size}"))
            connection.sendall(b"x" * size)
            assert answer_of(connection).status == 200
        connection.sendall(put(f"Content-Length: {size}") + b"y" * size + put("Content-Length: 1", close=True) + b"z")
        data = b"".join(iter(lambda: connection.recv(65536), b""))
        assert data.count(b"HTTP/1.1 200 OK") == 2
    assert sink.counts().since(before).bytes == 3 * size + 1


def test_a_long_body_in_chunks_and_bytes_that_trickle_are_counted(sink: SinkDestination, client: Any) -> None:
    with closing(connect(sink)) as connection:
        connection.sendall(put("Transfer-Encoding: chunked"))
        for piece in (b"a" * 100_000, b"b" * 40_000, b"c"):
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert answer_of(connection).status == 200
        for byte in put("Content-Length: 3") + b"abc":
            connection.sendall(bytes([byte]))
        assert answer_of(connection).status == 200
        assert sink.received("bucket", "").bytes == 3
        assert sink.counts().since(sink._before).bytes == 140_004


def test_who_speaks_no_tls_is_sent_away_and_the_others_are_served() -> None:
    with running_sink(tls=True) as sink:
        with socket.create_connection(("127.0.0.1", sink._port), timeout=10) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with closing(raw.makefile("rb")) as file:
                assert b"HTTP" not in file.read()
        other = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", sink._port), timeout=10) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            other.wrap_socket(raw, server_hostname="127.0.0.1")
        assert sink.counts().connections == 3


def test_every_answer_is_late_but_the_harness_own() -> None:
    with running_sink(latency_ms=30) as sink, closing(connect(sink)) as connection:
        began = time.monotonic()
        connection.sendall(put("Content-Length: 2") + b"ab")
        assert answer_of(connection).status == 200
        assert time.monotonic() - began >= 0.03  # never earlier, however fast the machine
    with running_sink(latency_ms=3_600_000) as sink, closing(connect(sink)) as connection:
        connection.sendall(put("Content-Length: 2\r\nExpect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ab")
        while sink.counts().objects < 1:
            pass
        connection.settimeout(0)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_keys_are_derived_as_in_the_example_of_rfc_8448() -> None:
    secret = bytes.fromhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
    key, nonce = expand_label(secret, b"key", 16, "sha256"), expand_label(secret, b"iv", 12, "sha256")
    assert key.hex(" ", 2) == "1742 2dda 596e d5d9 acd8 90e3 c63f 5051"
    assert nonce.hex(" ", 2) == "5b78 923d ee08 5790 33e5 23d9"


def _base64(digest: bytes) -> str:
    from base64 import b64encode

    return b64encode(digest).decode()
