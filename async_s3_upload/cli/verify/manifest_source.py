"""Where a manifest comes from: an object or a local file."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from async_s3_upload.destination import check_bucket_name
from async_s3_upload.errors import ManifestError, UsageError
from async_s3_upload.state.manifest_reading import Manifest, NotAManifest, may_begin, read_manifest
from async_s3_upload.text import printable
from async_s3_upload.transfer.stores.inspect import fetch
from async_s3_upload.transfer.stores.preflight import likely_cause
from async_s3_upload.transfer.stores.store import AccessDenied, NoSuchKey, ObjectStore, StoreError

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest: ``bucket`` and ``key`` where it is an object, else ``bucket`` is None and ``key`` a local path."""

    bucket: str | None
    key: str

    def __str__(self) -> str:
        return printable(self.key if self.bucket is None else f"{SCHEME}{self.bucket}/{self.key}")

    @property
    def run_id(self) -> str:
        """The run's name, as the name of the manifest has it."""
        base = self.key.rpartition("/")[2]
        return base.removesuffix(".tsv").removesuffix(".json").removesuffix(".manifest")

    async def read(self, store: ObjectStore | None = None) -> Manifest:
        """Read it; an object is fetched from the store before.

        Raises:
            ManifestError: it cannot be had, or is none; one sentence.
        """
        try:
            with ExitStack() as stack:
                if self.bucket is None:
                    file: BinaryIO = stack.enter_context(open(self.key, "rb"))  # noqa: ASYNC230 - it opens at once
                else:
                    assert store is not None, "an object cannot be read without one"
                    file = stack.enter_context(tempfile.TemporaryFile())
                    await self._fetch(store, self.bucket, file)
                return await asyncio.to_thread(read_manifest, file)
        except NotAManifest as error:
            raise ManifestError(f"{self} is no manifest, or a damaged one: {printable(str(error))}") from None
        except OSError as error:
            raise ManifestError(f"manifest {self} cannot be read: {error.strerror or error}") from None

    async def _fetch(self, store: ObjectStore, bucket: str, file: BinaryIO) -> None:
        def fresh() -> None:
            file.seek(0)
            file.truncate()

        def take(piece: bytes) -> None:
            # whatever was named by mistake need not come over to its end
            if not file.tell() and not may_begin(piece):
                raise NotAManifest("line 1: it does not begin as a manifest does")
            file.write(piece)

        try:
            await fetch(store, bucket, self.key, fresh, take)
        except NoSuchKey:
            raise ManifestError(f"there is no object {self}") from None
        except AccessDenied as error:
            raise ManifestError(
                f"manifest {self} may not be read, or is not there: {error}; "
                "the rights s3:GetObject and, to tell the one from the other, s3:ListBucket are needed"
            ) from None
        except StoreError as error:
            raise ManifestError(f"manifest {self} cannot be read: {likely_cause(error)}") from None
        file.seek(0)


def manifest_source(text: str) -> ManifestSource:
    """Return what is meant by ``--manifest``.

    Raises:
        UsageError: nothing that could be a manifest.
    """
    if text.startswith(SCHEME):
        bucket, _, key = text[len(SCHEME) :].partition("/")
        try:
            check_bucket_name(bucket)
        except ValueError as error:
            raise UsageError(f"--manifest: the bucket {error}") from None
        if not key or key.endswith("/"):
            raise UsageError(f"--manifest: {printable(text)} names no object; give s3://BUCKET/PATH/RUN.manifest.json")
        if printable(key) != key:
            raise UsageError("--manifest: holds a character that no key can hold")
        return ManifestSource(bucket, key)
    if "://" in text:
        raise UsageError(f"--manifest: must be s3://BUCKET/KEY or a local file, not {printable(text)}")
    if not text:
        raise UsageError("--manifest: must not be empty")
    return ManifestSource(None, os.path.abspath(text))
