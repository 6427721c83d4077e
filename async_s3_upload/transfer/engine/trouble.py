"""Errors of a file or part as values: what crosses the pipe, and what is told of a file that failed."""

from __future__ import annotations

import logging

from async_s3_upload.text import printable
from async_s3_upload.transfer.engine import source
from async_s3_upload.transfer.messages import FailureKind, FileFailed, FileItem
from async_s3_upload.transfer.parts import Unplannable
from async_s3_upload.transfer.stores import store

log = logging.getLogger(__name__)

_KNOWN: dict[str, type[Exception]] = {
    found.__name__: found
    for found in (
        store.StoreError,
        store.Transient,
        store.Throttled,
        store.ExpiredCredentials,
        store.AccessDenied,
        store.BadCredentials,
        store.NoSuchBucket,
        store.NoSuchUpload,
        store.WrongRegion,
        store.Rejected,
        source.SourceError,
        source.ChangedError,
        Unplannable,
    )
}


class UnexpectedError(Exception):
    """A bug in another worker; the text names the class of the error."""


def told(error: Exception) -> tuple[str, str]:
    """Return the kind and the text of an error."""
    kind = type(error).__name__
    return (kind, str(error)) if kind in _KNOWN else ("", f"{kind}: {error}")


def made_again(kind: str, text: str) -> Exception:
    """Return the error that was ``told``, or an UnexpectedError for one that nobody expects."""
    return _KNOWN.get(kind, UnexpectedError)(text)


def failure_of(item: FileItem, error: Exception) -> FileFailed:
    """Return what is told of a file that failed for this error; one that nobody expects is logged as a bug."""
    expected = isinstance(error, (store.StoreError, source.SourceError, Unplannable))
    text = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
    log.log(logging.DEBUG if expected else logging.ERROR, "%s failed", printable(item.path), exc_info=error)
    return FileFailed(item.number, _kind_of(error), text)


def _kind_of(error: Exception) -> FailureKind:
    if isinstance(error, (source.ChangedError, store.NoSuchUpload)):
        return "changed"
    if isinstance(error, store.AccessDenied):
        return "access_denied"
    if isinstance(error, store.NoSuchBucket):
        return "no_such_bucket"
    if isinstance(error, store.BadCredentials):
        return "bad_credentials"
    return "request" if isinstance(error, store.StoreError) else "file"
