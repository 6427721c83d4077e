"""What is sent, under which keys, in which parts: pure functions of values."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import FileItem

MiB = 1024 * 1024
PART_SIZE = 8 * MiB
"""Size of a part in bytes, as long as the file needs no more than MAX_PARTS of them."""
MULTIPART_THRESHOLD = 16 * MiB
"""Files up to this size are one PUT; larger ones are multipart uploads."""
MAX_PARTS = 10_000
"""S3's limit (AWS, "Amazon S3 multipart upload limits")."""
MAX_PART_SIZE = 5 * 1024 * MiB
"""S3's limit of one part, 5 GiB (same source)."""
MAX_KEY_BYTES = 1024
"""S3's limit of a key in bytes of UTF-8 (AWS, "Creating object key names")."""


class Unplannable(ValueError):
    """A file that S3 cannot take, with the reason as a sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file: ``number`` from 1, ``offset`` and ``length`` in bytes."""

    number: int
    offset: int
    length: int


def key_prefix(remote_path: str, run_id: str) -> str:
    """Return the start of all keys of a run, without slashes at either end: ``runs/240101_A01_0001_AB``."""
    parent = remote_path.strip("/")
    return f"{parent}/{run_id}" if parent else run_id


def key_for(prefix: str, name: str) -> str:
    """Return the key of the file ``name`` (relative to the run folder, with ``/``).

    Raises:
        Unplannable: the key is no UTF-8 or longer than S3 allows.
    """
    key = f"{prefix}/{name}"
    try:
        length = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError:
        raise Unplannable(f"the key {printable(key)} is not valid UTF-8: rename the folder or file") from None
    if length > MAX_KEY_BYTES:
        raise Unplannable(f"the key is {length} bytes long, S3 allows {MAX_KEY_BYTES}: shorten the path")
    return key


def part_size(size: int) -> int:
    """Return the part size for a file of ``size`` bytes: 8 MiB, grown in MiB steps for more than 10,000 parts.

    Raises:
        Unplannable: the file is larger than S3 takes in any number of parts.
    """
    if size <= PART_SIZE * MAX_PARTS:
        return PART_SIZE
    needed = -(-size // MAX_PARTS)
    grown = -(-needed // MiB) * MiB
    if grown > MAX_PART_SIZE:
        raise Unplannable(f"the file has {size:,} bytes, more than S3 takes in {MAX_PARTS:,} parts of 5 GiB")
    return grown


def parts(size: int) -> Iterator[Part]:
    """Yield the parts of a file of ``size`` bytes, in order; the last may be shorter."""
    step = part_size(size)
    for index, offset in enumerate(range(0, size, step)):
        yield Part(index + 1, offset, min(step, size - offset))


def is_multipart(size: int) -> bool:
    """Tell whether a file of ``size`` bytes goes up in parts."""
    return size > MULTIPART_THRESHOLD


@dataclass(frozen=True, slots=True)
class Job:
    """The files of one run to one destination, biggest first. ``impossible`` maps names to reasons."""

    bucket: str
    items: tuple[FileItem, ...]
    names: tuple[str, ...]
    impossible: dict[str, str]

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of ``items``."""
        return sum(item.size for item in self.items)


def plan_job(bucket: str, prefix: str, root: str, sizes: dict[str, int]) -> Job:
    """Plan the files ``sizes`` (name relative to ``root`` -> bytes), biggest first, equal sizes by name.

    ``items[i].number == i`` and ``names[i]`` is that file's name.
    """
    items: list[FileItem] = []
    names: list[str] = []
    impossible: dict[str, str] = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        try:
            key = key_for(prefix, name)
            part_size(sizes[name])
        except Unplannable as error:
            impossible[name] = str(error)
            continue
        items.append(FileItem(len(items), os.path.join(root, name), key, sizes[name]))
        names.append(name)
    return Job(bucket, tuple(items), tuple(names), impossible)


def worker_count(job_files: int, job_bytes: int, cores: int) -> int:
    """Return how many workers are worth their start for so much work, at most ``cores``.

    A worker costs about half a second of CPU to start; that pays from some hundred small files or some
    dozen MB on.
    """
    return max(1, min(cores, max(job_files // 100, job_bytes // (32 * MiB)) + 1, job_files))
