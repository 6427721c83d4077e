"""What is sent, under which keys, in which parts: pure functions of values."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import FileItem, KnownUpload, ObjectSettings

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


class PlannedFile(Protocol):
    """What the plan needs of a file: its name relative to the run folder, and its state."""

    @property
    def name(self) -> str:
        """Relative to the run folder, with ``/``."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def mtime_ns(self) -> int:
        """Nanoseconds since the epoch."""
        ...

    @property
    def inode(self) -> int:
        """Number of the inode."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier starts left behind, by file name.

    ``uploads`` can be gone on with; of the files in ``stray`` uploads with unknown ids may exist; those in
    ``probe`` may be in S3 already.
    """

    uploads: Mapping[str, KnownUpload] = field(default_factory=dict)
    stray: Collection[str] = ()
    probe: Collection[str] = ()


DEFAULTS = ObjectSettings()
NOTHING = Memory()


@dataclass(frozen=True, slots=True)
class Job:
    """The files of one run to one destination, biggest first. ``impossible`` maps names to reasons."""

    bucket: str
    settings: ObjectSettings
    items: tuple[FileItem, ...]
    names: tuple[str, ...]
    impossible: dict[str, str]

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of ``items``."""
        return sum(item.size for item in self.items)


def plan_job(
    bucket: str,
    prefix: str,
    root: str,
    files: Iterable[PlannedFile],
    settings: ObjectSettings = DEFAULTS,
    memory: Memory = NOTHING,
) -> Job:
    """Plan the files of the run folder ``root``, biggest first, equal sizes by name.

    ``items[i].number == i`` and ``names[i]`` is that file's name.
    """
    items: list[FileItem] = []
    names: list[str] = []
    impossible: dict[str, str] = {}
    for file in sorted(files, key=lambda file: (-file.size, file.name)):
        name = file.name
        try:
            key = key_for(prefix, name)
            part_size(file.size)
        except Unplannable as error:
            impossible[name] = str(error)
            continue
        items.append(
            FileItem(
                len(items),
                os.path.join(root, name),
                key,
                file.size,
                file.mtime_ns,
                file.inode,
                memory.uploads.get(name),
                name in memory.stray,
                "probe" if name in memory.probe else "send",
            )
        )
        names.append(name)
    return Job(bucket, settings, tuple(items), tuple(names), impossible)


def compare_job(
    bucket: str, prefix: str, root: str, files: Iterable[PlannedFile], part_sizes: Mapping[str, int]
) -> Job:
    """Plan the comparison of files with what S3 holds; nothing is sent. ``part_sizes`` are those remembered by name."""
    job = plan_job(bucket, prefix, root, files)
    items = (
        replace(item, mode="compare", part_size=part_sizes.get(name))
        for name, item in zip(job.names, job.items, strict=True)
    )
    return replace(job, items=tuple(items))


def worker_count(job_files: int, job_bytes: int, cores: int) -> int:
    """Return how many workers are worth their start for so much work, at most ``cores``.

    A worker costs about half a second of CPU to start; that pays from some hundred small files or some
    dozen MB on. The parts of one big file go to several workers.
    """
    pieces = max(job_files, job_bytes // MULTIPART_THRESHOLD)
    return max(1, min(cores, max(job_files // 100, job_bytes // (32 * MiB)) + 1, pieces))
