"""CRC64NVME as S3 wants it: base64 of eight big-endian bytes.

``awscrt`` computes about 50 GB/s; the sums of parts combine to that of the whole without reading again.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from awscrt.checksums import combine_crc64nvme, crc64nvme

Crc = int


def crc_of(data: bytes | bytearray | memoryview, before: Crc = 0) -> Crc:
    """Return the CRC64NVME of ``data``, going on from that of the bytes ``before`` it."""
    value: int = crc64nvme(data, before)
    return value


def combined(sums: Iterable[tuple[Crc, int]]) -> Crc:
    """Return the CRC64NVME of consecutive pieces from each piece's (sum, length in bytes)."""
    total = 0
    for value, length in sums:
        total = combine_crc64nvme(total, value, length)
    return total


def as_header(value: Crc) -> str:
    """Return the text that goes into ``x-amz-checksum-crc64nvme``."""
    return base64.b64encode(value.to_bytes(8, "big")).decode()


def from_header(text: str) -> Crc:
    """Return the sum that ``as_header`` gave as ``text``."""
    return int.from_bytes(base64.b64decode(text), "big")
