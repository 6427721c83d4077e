"""The lean store sends what botocore would send, to where botocore would, and says where it cannot."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.file_body import FileBody
from async_s3_upload.transfer.engine.source import ChangedError, state_of
from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.stores.lean.route import NotServed, route_of
from async_s3_upload.transfer.stores.lean.store import LeanStore, _Prepared
from async_s3_upload.transfer.stores.store import AccessDenied, StoreError, Transient, UploadedPart, WrongRegion
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from tests.support.forward_proxy import ForwardProxy
from tests.support.proxy import Answer, FaultProxy, Rule, Seen, on
from tests.support.raw_server import raw_server
from tests.support.s3server import REGION, S3Server

DEFAULTS = ObjectSettings()
EVERYTHING = ObjectSettings(
    storage_class="STANDARD_IA",
    server_side_encryption="aws:kms",
    kms_key_id="alias/lab",
    acl="bucket-owner-full-control",
    expected_bucket_owner="123456789012",
    tags=(("lab", "A  1"), ("run type", "wgs/x")),
    metadata=(("sequencer", "A01295  a"), ("Note", " two  spaces ")),
)
PER_REQUEST = {
    "authorization",
    "x-amz-date",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "accept-encoding",
    "accept",
    "user-agent",  # it names features that each request used
}
ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def access_to(endpoint: str | None, **options: Any) -> AwsAccess:
    given = {"access_key": "AKTEST", "secret_key": "SECRET", "region": REGION} | options
    return AwsAccess(endpoint_url=endpoint, **given)


def shown(seen: Seen) -> dict[str, str]:
    """Return the headers that both stores have to send alike."""
    return {name: value for name, value in seen.headers.items() if name not in PER_REQUEST}


@pytest.mark.parametrize("settings", [DEFAULTS, EVERYTHING], ids=["plain", "all properties"])
@pytest.mark.parametrize("crc", [None, "AAAAAAAAAAA="])
async def test_puts_and_parts_have_the_headers_that_botocore_gives_them(
    moto_server: S3Server, proxy_for: ProxyFor, settings: ObjectSettings, crc: str | None
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject", "UploadPart"), Answer(200, headers={"ETag": '"e"'})))
    requests = []
    for kind in (AiobotocoreStore, LeanStore):
        proxy.forget()
        async with kind(access_to(server.endpoint), connections=2) as store:
            assert await store.put_object("bucket", "a/odd+key ü", b"x" * 100, crc, settings) == "e"
            assert await store.upload_part("bucket", "k", "upload/id+=", 7, b"x" * 200, crc) == "e"
        requests.append([(seen.path, sorted(seen.query.split("&")), shown(seen)) for seen in proxy.seen])
    theirs, ours = requests
    assert ours == theirs


async def test_of_many_requests_botocore_prepares_one(
    moto_server: S3Server, bucket_name: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    prepared: list[object] = []
    prepare = LeanStore._prepare

    async def counted(store: LeanStore, *args: Any) -> Any:
        prepared.append(args)
        return await prepare(store, *args)

    monkeypatch.setattr(LeanStore, "_prepare", counted)
    async with LeanStore(access_to(moto_server.endpoint), connections=2) as store:
        for number in range(20):
            await store.put_object(bucket, str(number), b"x", None, DEFAULTS)
    assert len(prepared) == 1


async def test_files_are_read_while_they_are_sent_and_the_server_checks_what_arrives(
    seaweed: S3Server, bucket_name: Callable[..., str], tmp_path: Path
) -> None:
    bucket = await asyncio.to_thread(seaweed.make_bucket, bucket_name())
    content = os.urandom(6 * 2**20 + 5)
    path = tmp_path / "run.cbcl"
    path.write_bytes(content)
    access = access_to(seaweed.endpoint, access_key=seaweed.access_key, secret_key=seaweed.secret_key)
    body = FileBody(str(path), state_of(str(path)), 0, len(content))
    crc = checksum.as_header(body.open())
    async with LeanStore(access, connections=2) as store:
        await store.put_object(bucket, "whole", body, crc, DEFAULTS)
        upload_id = await store.create_multipart(bucket, "parts", checksum=True, settings=DEFAULTS)
        etag = await store.upload_part(bucket, "parts", upload_id, 1, body, crc)
        await store.complete_multipart(bucket, "parts", upload_id, [UploadedPart(1, etag, crc)], crc)
        with pytest.raises(Transient):
            await store.put_object(bucket, "wrong", body, "AAAAAAAAAAA=", DEFAULTS)
        path.write_bytes(b"y" * len(content))
        with pytest.raises(ChangedError):
            await store.put_object(bucket, "changed", body, crc, DEFAULTS)
    body.close()
    client = seaweed.client()
    for key in ("whole", "parts"):
        found = await asyncio.to_thread(client.get_object, Bucket=bucket, Key=key)
        assert await asyncio.to_thread(found["Body"].read) == content


# regions


@dataclass
class Region:
    """A server whose bucket is in one region: requests signed for another are sent there, as AWS does it."""

    name: str = "eu-central-1"
    signed_for: list[str] = field(default_factory=list)
    puts: int = 0
    hint: str = "header"
    endpoint: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            await reader.readexactly(size)
            region = head.partition("credential=")[2].split("/")[2]
            self.signed_for.append(region)
            writer.write(self._answer(head.split(" ")[0], region))

    def _answer(self, method: str, region: str) -> bytes:
        if region == self.name:
            self.puts += method == "put"
            return b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'
        code, status = {
            "header": ("PermanentRedirect", "301 Moved Permanently"),
            "temporary": ("TemporaryRedirect", "307 Temporary Redirect"),
            "body": ("AuthorizationHeaderMalformed", "400 Bad Request"),
            "nothing": ("PermanentRedirect", "301 Moved Permanently"),
        }[self.hint]
        inner = f"<Region>{self.name}</Region>" if self.hint == "body" else ""
        hint = f"x-amz-bucket-region: {self.name}\r\n" if self.hint in ("header", "temporary") else ""
        body = f"<Error><Code>{code}</Code><Message>elsewhere</Message>{inner}</Error>" if method != "head" else ""
        return f"HTTP/1.1 {status}\r\n{hint}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@asynccontextmanager
async def region_server(hint: str) -> AsyncIterator[Region]:
    region = Region(hint=hint)
    async with raw_server(region.serve) as port:
        region.endpoint = f"http://127.0.0.1:{port}"
        yield region


@pytest.mark.parametrize("hint", ["header", "temporary", "body"])
@pytest.mark.parametrize("kind", [AiobotocoreStore, LeanStore])
async def test_a_wrong_region_is_put_right_once_and_then_known(kind: type[AiobotocoreStore], hint: str) -> None:
    async with region_server(hint) as region, kind(access_to(region.endpoint), connections=2) as store:
        for number in range(10):
            assert await store.put_object("bucket", str(number), b"x", None, DEFAULTS) == "e"
            assert await store.upload_part("bucket", "big", "id", number + 1, b"x", None) == "e"
        assert region.puts == 20
        assert set(region.signed_for[-18:]) == {region.name}, "the region was asked for again"


@pytest.mark.parametrize("kind", [AiobotocoreStore, LeanStore])
async def test_a_region_that_cannot_be_found_out_is_said(kind: type[AiobotocoreStore]) -> None:
    async with region_server("nothing") as region, kind(access_to(region.endpoint), connections=2) as store:
        with pytest.raises(WrongRegion):
            await store.put_object("bucket", "a", b"x", None, DEFAULTS)


# what is not served

URL = "https://bucket.s3.eu-central-1.amazonaws.com/k"
SIGNED = "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0"


def test_a_route_is_read_off_a_prepared_request() -> None:
    headers = {"Authorization": SIGNED, "User-Agent": "Boto", "X-Amz-Acl": "private", "Content-Length": "0"}
    route = route_of(URL, headers, None)
    assert (route.origin.host, route.origin.port, route.origin.secure) == (route.host, 443, True)
    assert (route.path, route.region, route.service, route.target) == ("/", "eu-central-1", "s3", "")
    assert (route.signed, route.unsigned) == ((("x-amz-acl", "private"),), "user-agent: Boto\r\n")


@pytest.mark.parametrize(
    ("url", "headers", "proxy", "reason"),
    [
        (URL, {"Authorization": SIGNED.replace("HMAC", "ECDSA-P256")}, None, "signed with AWS4-ECDSA-P256-SHA256"),
        (URL, {"Authorization": "AWS AK:sig"}, None, "signed with AWS, not"),
        (URL, {}, None, "signed with nothing"),
        (URL, {"Authorization": SIGNED, "X-Amz-S3session-Token": "t"}, None, "S3 Express sessions"),
        (URL + "?x=y", {"Authorization": SIGNED}, "https://proxy:3128", "the proxy is no http:// one"),
        (URL + "2", {"Authorization": SIGNED}, None, "address is of an unknown kind"),
        (URL, {"Authorization": SIGNED, "x-amz-meta-a": "ü"}, None, "an object property is no plain text"),
        (URL, {"Authorization": SIGNED, "x-amz-meta-a": "a\r\nb: c"}, None, "no plain text"),
    ],
)
def test_what_the_lean_path_cannot_do_is_said(
    url: str, headers: dict[str, str], proxy: str | None, reason: str
) -> None:
    with pytest.raises(NotServed, match=reason):
        route_of(url, headers, proxy)


async def test_what_is_not_served_goes_through_aiobotocore_and_the_log_says_so_once(
    moto_server: S3Server,
    bucket_name: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def prepare(store: LeanStore, *args: object) -> _Prepared:
        return _Prepared(URL, {"Authorization": "AWS AK:signature"})

    monkeypatch.setattr(LeanStore, "_prepare", prepare)
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    with caplog.at_level(logging.WARNING):
        async with LeanStore(access_to(moto_server.endpoint), connections=2) as store:
            for number in range(3):
                await store.put_object(bucket, str(number), memoryview(b"body"), None, DEFAULTS)
    (line,) = [record.message for record in caplog.records if "aiobotocore" in record.message]
    assert line.startswith(f"bucket {bucket} is sent to through aiobotocore, not by the lean path: requests")
    assert "signed with AWS, not AWS4-HMAC-SHA256" in line


async def test_directory_buckets_go_through_aiobotocore_without_being_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def put_object(store: AiobotocoreStore, *args: object) -> str:
        return "through aiobotocore"

    monkeypatch.setattr(AiobotocoreStore, "put_object", put_object)
    with caplog.at_level(logging.WARNING):
        async with LeanStore(access_to(None), connections=2) as store:
            found = await store.put_object("lab--usw2-az1--x-s3", "a", b"x", None, DEFAULTS)
    assert found == "through aiobotocore"
    assert "S3 Express" in caplog.text


# proxies of the environment


@asynccontextmanager
async def forward_proxy(monkeypatch: pytest.MonkeyPatch, *variables: str) -> AsyncIterator[ForwardProxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy = ForwardProxy()
    async with raw_server(proxy.serve) as port:
        for name in variables:
            monkeypatch.setenv(name, proxy.address(port))
        yield proxy


both = pytest.mark.parametrize("kind", [AiobotocoreStore, LeanStore])


@both
async def test_http_goes_through_the_proxy_of_the_environment(
    kind: type[AiobotocoreStore],
    moto_server: S3Server,
    bucket_name: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    async with forward_proxy(monkeypatch, "HTTP_PROXY") as proxy:
        async with kind(access_to(moto_server.endpoint), connections=2) as store:
            await store.put_object(bucket, "a b", b"x" * 1_000_000, None, DEFAULTS)
            assert (await store.head(bucket, "a b")) is not None
        assert proxy.asked[0] == f"PUT {moto_server.endpoint}/{bucket}/a%20b"


@both
async def test_no_proxy_is_honoured(
    kind: type[AiobotocoreStore],
    moto_server: S3Server,
    bucket_name: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = await asyncio.to_thread(moto_server.make_bucket, bucket_name())
    async with forward_proxy(monkeypatch, "HTTP_PROXY") as proxy:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with kind(access_to(moto_server.endpoint), connections=2) as store:
            await store.put_object(bucket, "a", b"x", None, DEFAULTS)
        assert proxy.asked == []


@both
async def test_a_proxy_that_refuses_is_an_error_without_its_password(
    kind: type[AiobotocoreStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forward_proxy(monkeypatch, "HTTPS_PROXY") as proxy:
        proxy.refuse = True
        async with kind(access_to("https://127.0.0.1:9"), connections=2) as store:
            with pytest.raises(StoreError) as caught:
                await store.put_object("bucket", "a", b"x", None, DEFAULTS)
        assert proxy.asked == ["CONNECT 127.0.0.1:9"]
        assert "pass" not in str(caught.value)
        if kind is LeanStore:
            assert "the proxy answered 407 " in str(caught.value)
            assert str(caught.value).endswith(" to CONNECT")


async def test_a_refusal_tells_what_s3_said_and_no_secret(moto_server: S3Server, proxy_for: ProxyFor) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(403, "AccessDenied")))
    async with LeanStore(access_to(server.endpoint), connections=2) as store:
        with pytest.raises(AccessDenied, match="S3 answered 403 AccessDenied") as caught:
            await store.put_object("bucket", "a", b"x", None, DEFAULTS)
    assert "SECRET" not in str(caught.value)
