"""Translates what aiobotocore and the libraries below it raise into StoreError, once, at the border."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

import aiohttp
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    ExpiredCredentials,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    Rejected,
    StoreError,
    Throttled,
    Transient,
    WrongRegion,
)

_BY_CODE: dict[str, type[StoreError]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchKey,
    "NoSuchUpload": NoSuchUpload,
    "InvalidAccessKeyId": BadCredentials,
    "InvalidToken": BadCredentials,
    "UnrecognizedClientException": BadCredentials,
    "InvalidClientTokenId": BadCredentials,
    "AccessDenied": AccessDenied,
    "AllAccessDisabled": AccessDenied,
    "AccountProblem": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "PermanentRedirect": WrongRegion,
    "AuthorizationHeaderMalformed": WrongRegion,
    "IllegalLocationConstraintException": WrongRegion,
    # botocore's standard retries leave out the first three of these (seen with botocore 1.43)
    "RequestTimeTooSkewed": Transient,
    "ExpiredToken": ExpiredCredentials,
    "ExpiredTokenException": ExpiredCredentials,
    "TokenRefreshRequired": ExpiredCredentials,
    "RequestTimeout": Transient,
    "RequestTimeoutException": Transient,
    "SlowDown": Throttled,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "RequestLimitExceeded": Throttled,
    "TooManyRequests": Throttled,
    "InternalError": Transient,
    "ServiceUnavailable": Throttled,
    "OperationAborted": Transient,
    "BadDigest": Transient,
    "InvalidDigest": Transient,
    "XAmzContentChecksumMismatch": Transient,
    "IncompleteBody": Transient,
}
_BY_STATUS: dict[int, type[StoreError]] = {
    301: WrongRegion,
    307: WrongRegion,
    401: AccessDenied,
    403: AccessDenied,
    408: Transient,
    425: Transient,
    429: Throttled,
    503: Throttled,
}

_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.ProfileNotFound,
    aws.SSOError,
    aws.TokenRetrievalError,
    aws.NoAuthTokenError,
    aws.ConfigParseError,
    aws.ConfigNotFound,
)
_CONNECTION = (
    aws.HTTPClientError,
    aws.ConnectionError,
    aws.ResponseStreamingError,
    aws.IncompleteReadError,
    aiohttp.ClientError,
    OSError,
)
# botocore could not make sense of the answer, e.g. it was cut off in the middle
_UNREADABLE_ANSWER = (aws.BotoCoreError, ResponseParserError, ValueError, KeyError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise every error of the block as the StoreError it stands for; its text names no secret."""
    try:
        yield
    except StoreError:
        raise
    except aws.ClientError as error:
        raise _from_answer(error) from None
    except RecursionError:  # botocore looks for the region of a bucket with the request that it is to be put right for
        raise WrongRegion("the bucket is in another region, and the server does not say in which") from None
    except RuntimeError as error:  # botocore's, where keys are past the end that came with them
        if "still expired" not in str(error):
            raise
        raise BadCredentials("the AWS credentials have expired") from None
    except _CREDENTIALS as error:
        raise BadCredentials(f"no usable AWS credentials: {error}") from None
    except (aws.ParamValidationError, aws.InvalidRegionError) as error:
        raise Rejected(" ".join(str(error).split())) from None
    except _CONNECTION as error:
        raise Transient(f"connection trouble: {_text(error)}") from None
    except _UNREADABLE_ANSWER as error:
        raise Transient(f"the server's answer makes no sense: {_text(error)}") from None


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split()).removeprefix("An HTTP Client raised an unhandled exception: ")
    return text or type(error).__name__


def _from_answer(error: aws.ClientError) -> StoreError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    message = str(answer.get("Error", {}).get("Message", ""))
    return _error(int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)), code, message)


def error_of_answer(status: int, body: bytes) -> StoreError:
    """Return the error that an answer other than 200 stands for; ``body`` is S3's error document, if it is one."""
    try:
        document = ElementTree.fromstring(body)  # noqa: S314 - as botocore reads it; it is short
    except ElementTree.ParseError:
        return _error(status, "", "")
    found = {element.tag.rpartition("}")[2]: element.text or "" for element in document}
    return _error(status, found.get("Code", ""), found.get("Message", ""))


def _error(status: int, code: str, message: str) -> StoreError:
    message = " ".join(message.split())
    kind = _BY_CODE.get(code)
    if kind is None:
        kind = _BY_STATUS.get(status, Transient if status >= 500 else Rejected)
    text = f"S3 answered {status}"
    if code and code != str(status):
        text += f" {code}"
    if message and message not in (code, "Unknown"):
        text += f": {message}"
    return kind(text)
