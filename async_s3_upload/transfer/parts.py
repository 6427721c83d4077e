"""Which files go up in parts, and in which parts: pure functions of sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MiB = 1024 * 1024
PART_SIZE = 8 * MiB
"""Size of a part in bytes, as long as the file needs no more than MAX_PARTS of them."""
MULTIPART_THRESHOLD = 16 * MiB
"""Files up to this size are one PUT; larger ones are multipart uploads."""
MAX_PARTS = 10_000
"""S3's limit (AWS, "Amazon S3 multipart upload limits")."""
MAX_PART_SIZE = 5 * 1024 * MiB
"""S3's limit of one part, 5 GiB (same source)."""


class Unplannable(ValueError):
    """A file that S3 cannot take, with the reason as a sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file: ``number`` from 1, ``offset`` and ``length`` in bytes."""

    number: int
    offset: int
    length: int


def part_size(size: int, least: int = 0) -> int:
    """Return the part size for a file of ``size`` bytes.

    ``least`` (0: 8 MiB), grown in MiB steps where the file would have more than 10,000 parts.

    Raises:
        Unplannable: the file is larger than S3 takes in any number of parts.
    """
    least = least or PART_SIZE
    if size <= least * MAX_PARTS:
        return least
    needed = -(-size // MAX_PARTS)
    grown = -(-needed // MiB) * MiB
    if grown > MAX_PART_SIZE:
        raise Unplannable(f"the file has {size:,} bytes, more than S3 takes in {MAX_PARTS:,} parts of 5 GiB")
    return grown


def parts(size: int, step: int) -> Iterator[Part]:
    """Yield the parts of ``step`` bytes of a file of ``size`` bytes, in order; the last may be shorter."""
    for index, offset in enumerate(range(0, size, step)):
        yield Part(index + 1, offset, min(step, size - offset))


def part(size: int, step: int, number: int) -> Part:
    """Return part ``number`` of those that ``parts`` yields."""
    offset = (number - 1) * step
    return Part(number, offset, min(step, size - offset))


def is_multipart(size: int) -> bool:
    """Tell whether a file of ``size`` bytes goes up in parts."""
    return size > MULTIPART_THRESHOLD
