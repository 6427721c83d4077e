"""Errors of a file or part as two texts, and made again from them: what crosses the pipe are plain values."""

from __future__ import annotations

from async_s3_upload.transfer.engine import source
from async_s3_upload.transfer.parts import Unplannable
from async_s3_upload.transfer.stores import store

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
