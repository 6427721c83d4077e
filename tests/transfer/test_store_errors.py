"""Each error of the AWS libraries becomes one StoreError; real answers go through the real library."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    ExpiredCredentials,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectInfo,
    Rejected,
    StoreError,
    Throttled,
    Transient,
    UploadedPart,
    WrongRegion,
)
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from async_s3_upload.transfer.stores.store_errors import translated


def answer(status: int, code: str = "", message: str = "") -> aws.ClientError:
    return aws.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )


def translation_of(error: BaseException) -> StoreError:
    with pytest.raises(StoreError) as caught, translated():
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchBucket", NoSuchBucket),
        (404, "NoSuchUpload", NoSuchUpload),
        (403, "InvalidAccessKeyId", BadCredentials),
        (403, "InvalidToken", BadCredentials),
        (400, "InvalidToken", BadCredentials),
        (403, "AccessDenied", AccessDenied),
        (403, "AllAccessDisabled", AccessDenied),
        (403, "SignatureDoesNotMatch", AccessDenied),
        (403, "", AccessDenied),
        (403, "SomethingNew", AccessDenied),
        (401, "Unauthorized", AccessDenied),
        (301, "PermanentRedirect", WrongRegion),
        (301, "", WrongRegion),
        (307, "TemporaryRedirect", WrongRegion),
        (400, "AuthorizationHeaderMalformed", WrongRegion),
        (400, "IllegalLocationConstraintException", WrongRegion),
        (403, "RequestTimeTooSkewed", Transient),
        (400, "ExpiredToken", ExpiredCredentials),
        (400, "TokenRefreshRequired", ExpiredCredentials),
        (400, "RequestTimeout", Transient),
        (503, "SlowDown", Throttled),
        (400, "Throttling", Throttled),
        (429, "TooManyRequests", Throttled),
        (429, "", Throttled),
        (408, "", Transient),
        (500, "InternalError", Transient),
        (200, "InternalError", Transient),
        (200, "SlowDown", Throttled),
        (500, "", Transient),
        (502, "", Transient),
        (503, "", Throttled),
        (503, "ServiceUnavailable", Throttled),
        (504, "", Transient),
        (409, "OperationAborted", Transient),
        (400, "BadDigest", Transient),
        (400, "XAmzContentChecksumMismatch", Transient),
        (400, "IncompleteBody", Transient),
        (400, "InvalidPart", Rejected),
        (400, "EntityTooSmall", Rejected),
        (400, "KeyTooLongError", Rejected),
        (404, "NoSuchKey", NoSuchKey),
        (405, "MethodNotAllowed", Rejected),
        (412, "PreconditionFailed", Rejected),
    ],
)
def test_an_answer_is_judged_by_its_code_then_by_its_status(status: int, code: str, expected: type[StoreError]) -> None:
    assert type(translation_of(answer(status, code))) is expected


@pytest.mark.parametrize(
    "error",
    [
        aws.NoCredentialsError(),
        aws.PartialCredentialsError(provider="env", cred_var="secret"),
        aws.CredentialRetrievalError(provider="iam-role", error_msg="boom"),
        aws.ProfileNotFound(profile="lab"),
        aws.UnauthorizedSSOTokenError(),
        aws.SSOTokenLoadError(error_msg="no token"),
        aws.TokenRetrievalError(provider="sso", error_msg="boom"),
        aws.ConfigNotFound(path="/etc/aws"),
        aws.ConfigParseError(path="/etc/aws"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_with_finding_credentials_is_bad_credentials(error: Exception) -> None:
    assert type(translation_of(error)) is BadCredentials


@pytest.mark.parametrize(
    "error",
    [
        aws.EndpointConnectionError(endpoint_url="http://s3"),
        aws.ConnectTimeoutError(endpoint_url="http://s3"),
        aws.ReadTimeoutError(endpoint_url="http://s3"),
        aws.ConnectionClosedError(endpoint_url="http://s3"),
        aws.SSLError(endpoint_url="https://s3", error=OSError("certificate")),
        aws.ProxyConnectionError(proxy_url="http://proxy"),
        aws.HTTPClientError(error="boom"),
        aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError("slow"),
        ConnectionResetError("reset"),
        TimeoutError("timed out"),
        OSError(113, "No route to host"),
        ResponseParserError("unable to parse response"),
        ValueError("not a number"),
        KeyError("ETag"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_on_the_way_is_transient(error: Exception) -> None:
    assert type(translation_of(error)) is Transient


def test_what_the_http_client_said_is_told_without_the_library_s_preface() -> None:
    error = aws.HTTPClientError(error="no certificate")
    assert str(error) == "An HTTP Client raised an unhandled exception: no certificate"
    assert str(translation_of(error)) == "connection trouble: no certificate"


def test_a_bucket_elsewhere_of_which_nobody_says_where_is_in_the_wrong_region() -> None:
    found = translation_of(RecursionError())
    assert type(found) is WrongRegion
    assert str(found) == "the bucket is in another region, and the server does not say in which"


def test_what_the_library_refuses_to_send_is_rejected() -> None:
    assert type(translation_of(aws.ParamValidationError(report="Invalid bucket name"))) is Rejected


def test_store_errors_pass_unchanged_and_bugs_are_not_hidden() -> None:
    original = NoSuchUpload("mine")
    assert translation_of(original) is original
    with pytest.raises(AttributeError), translated():
        raise AttributeError("a bug")


async def test_a_cancellation_passes() -> None:
    with pytest.raises(asyncio.CancelledError), translated():
        raise asyncio.CancelledError


def test_the_time_limit_of_a_caller_is_not_translated() -> None:
    async def limited() -> None:
        async with asyncio.timeout(0):
            with translated():
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(limited())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (answer(403, "AccessDenied", "Access Denied"), "S3 answered 403 AccessDenied: Access Denied"),
        (answer(503, "503", "Service Unavailable"), "S3 answered 503: Service Unavailable"),
        (answer(500, "InternalError", "InternalError"), "S3 answered 500 InternalError"),
        (answer(400, "InvalidPart", "One\n  or more"), "S3 answered 400 InvalidPart: One or more"),
        (ConnectionResetError(), "connection trouble: ConnectionResetError"),
    ],
)
def test_the_text_is_one_line_that_says_what_was_answered(error: Exception, text: str) -> None:
    assert str(translation_of(error)) == text


def test_the_text_names_no_secret() -> None:
    secret = answer(403, "SignatureDoesNotMatch", "The signature does not match")
    secret.response["Error"]["StringToSign"] = "AWS4-HMAC-SHA256 secret"  # type: ignore[typeddict-unknown-key]
    assert "secret" not in str(translation_of(secret))


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[AiobotocoreStore]:
    """A store before a server that answers every request with these bytes and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        writer.write(raw)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, family=socket.AF_INET) as server:
        port = server.sockets[0].getsockname()[1]
        access = AwsAccess(access_key="K", secret_key="S", endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1")
        async with AiobotocoreStore(access, connections=2) as store:
            yield store


def http(body: str, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/xml", f"Content-Length: {length or len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>We are sorry</Message></Error>'
COMPLETED = "<CompleteMultipartUploadResult><ETag>&quot;abc-1&quot;</ETag></CompleteMultipartUploadResult>"


async def complete(store: AiobotocoreStore) -> str:
    return await store.complete_multipart("bucket", "key", "id", [UploadedPart(1, "e", None)], None)


async def put(store: AiobotocoreStore) -> str:
    return await store.put_object("bucket", "key", b"body", None, ObjectSettings())


async def create(store: AiobotocoreStore) -> str:
    return await store.create_multipart("bucket", "key", checksum=True, settings=ObjectSettings())


async def part(store: AiobotocoreStore) -> str:
    return await store.upload_part("bucket", "key", "id", 1, b"body", None)


async def head(store: AiobotocoreStore) -> object:
    return await store.head("bucket", "key")


async def listing(store: AiobotocoreStore) -> list[ObjectInfo]:
    return [entry async for entry in store.list_objects("bucket", "")]


async def test_a_completion_is_believed_when_its_answer_says_so() -> None:
    async with answering(http(COMPLETED)) as store:
        assert await complete(store) == "abc-1"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (http(ERROR.format("InternalError")), Transient),
        (http(ERROR.format("SlowDown")), Transient),
        (http("   \n" + ERROR.format("InternalError")), Transient),
        (http(ERROR.format("NoSuchUpload")), NoSuchUpload),
        (http(""), Transient),
        (http(COMPLETED[:40]), Transient),
        (http(COMPLETED[:40], length=len(COMPLETED)), Transient),
        (http("<html>a proxy's page</html>"), Transient),
        (http("not even XML"), Transient),
        (b"nonsense\r\n\r\n", Transient),
        (b"", Transient),
    ],
    ids=[
        "error",
        "slow down",
        "white space before an error",
        "no such upload",
        "empty",
        "cut XML",
        "cut body",
        "foreign page",
        "no XML",
        "no HTTP",
        "nothing",
    ],
)
async def test_a_completion_answered_200_without_success_is_no_success(raw: bytes, expected: type[StoreError]) -> None:
    async with answering(raw) as store:
        with pytest.raises(expected):
            await complete(store)


@pytest.mark.parametrize("call", [put, part, create, head], ids=lambda call: call.__name__)
async def test_an_answer_that_lacks_what_it_has_to_bring_is_transient(
    call: Callable[[AiobotocoreStore], object],
) -> None:
    async with answering(http("")) as store:
        with pytest.raises(Transient, match="the server's answer makes no sense: "):
            await call(store)  # type: ignore[misc]


@pytest.mark.parametrize(
    "body",
    [
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key>",
        "",
    ],
    ids=["no token", "no ETag", "cut", "empty"],
)
async def test_a_listing_that_is_not_whole_is_transient(body: str) -> None:
    async with answering(http(body)) as store:
        with pytest.raises(Transient):
            await listing(store)


def test_keys_that_are_past_their_end_are_bad_credentials() -> None:
    said = "Credentials were refreshed, but the refreshed credentials are still expired."
    with pytest.raises(BadCredentials, match=r"^the AWS credentials have expired$"), translated():
        raise RuntimeError(said)


def test_other_faults_of_the_program_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^no credentials in it$"), translated():
        raise RuntimeError("no credentials in it")
