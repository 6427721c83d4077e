"""Compares a local file with an object byte for byte, without fetching the object: by CRC64NVME, else by ETag."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.text import plural, printable
from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.buffers import Buffers
from async_s3_upload.transfer.engine.etag import EtagSum, possible_part_sizes
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.engine.source import THREAD_FROM, FileState, check_unchanged, fill
from async_s3_upload.transfer.messages import FileItem
from async_s3_upload.transfer.stores.store import ObjectInfo

Verdict = Literal["same", "missing", "different", "unproved"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out; ``detail`` is the reason as a sentence, unless the bytes are the same.

    ``etag``, ``crc64nvme`` (base64) and ``part_size`` are the object's and the file's, where they are the same.
    """

    verdict: Verdict
    detail: str = ""
    etag: str = ""
    crc64nvme: str | None = None
    part_size: int | None = None


class Comparer:
    """Compares with what one store holds, reading within a byte budget. Sends nothing but HEAD."""

    def __init__(self, requests: Requests, buffers: Buffers) -> None:
        self._requests = requests
        self._buffers = buffers

    async def compare(self, bucket: str, item: FileItem, state: FileState) -> Comparison:
        """Compare the file, which is in this state, with the object of its key.

        Raises:
            SourceError: the file cannot be read, or changed meanwhile.
            StoreError: S3 could not be asked.
        """
        found = await self._requests.make(
            f"HEAD {printable(item.key)}", lambda _: self._requests.store.head(bucket, item.key)
        )
        if found is None:
            return Comparison("missing", "there is no such object")
        if found.size != state.size:
            return Comparison("different", f"it has {found.size:,} bytes in S3, the local file has {state.size:,}")
        sums: list[EtagSum] = []
        if found.crc64nvme is None:
            reason, sums = _etag_sums(found, item)
            if not sums:
                return Comparison("unproved", f"S3 keeps no CRC64NVME of it, and {reason}")
        crc = await self._read(item.path, state, sums)
        check_unchanged(item.path, state)
        return _judge(found, crc, sums)

    async def _read(self, path: str, state: FileState, sums: Sequence[EtagSum]) -> str:
        """Read the file once; returns its CRC64NVME and feeds the ETag sums."""
        pieces = []
        for piece in parts.parts(state.size, parts.PART_SIZE):
            async with self._buffers.lend(piece.length) as data:
                pieces.append((await fill(data, path, state, piece.offset), piece.length))
                for one in sums:
                    if piece.length > THREAD_FROM:
                        await asyncio.to_thread(one.update, data)
                    else:
                        one.update(data)
        return checksum.as_header(checksum.combined(pieces))


def _etag_sums(found: ObjectInfo, item: FileItem) -> tuple[str, list[EtagSum]]:
    """Return the sums that can prove the object by its ETag, or why there are none."""
    if found.opaque_etag:
        return "its ETag is no MD5 sum, since it is encrypted with a key of KMS or of the customer", []
    sizes = possible_part_sizes(found.etag, found.size, item.part_size)
    if not sizes:
        return f"its ETag {found.etag} is no MD5 sum, or of parts of unknown size", []
    return "", [EtagSum(size) for size in sizes]


def _judge(found: ObjectInfo, crc: str, sums: Sequence[EtagSum]) -> Comparison:
    if found.crc64nvme is not None:
        if found.crc64nvme == crc:
            return Comparison("same", "", found.etag, crc)
        return Comparison("different", f"its bytes differ: CRC64NVME {found.crc64nvme} in S3, {crc} of the local file")
    for one in sums:
        if one.etag() == found.etag.lower():
            return Comparison("same", "", found.etag, crc, one.part_size)
    how = "" if sums[0].part_size is None else f" in parts of {plural(sums[0].part_size, 'byte')}"
    return Comparison(
        "different", f"its bytes differ: ETag {found.etag} in S3, {sums[0].etag()} of the local file{how}"
    )
