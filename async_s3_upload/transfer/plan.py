"""What is sent, under which keys, in which parts: pure functions of values."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import FileItem, KnownUpload, Mode, ObjectSettings
from async_s3_upload.transfer.parts import MULTIPART_THRESHOLD, MiB, Unplannable, is_multipart, part_size

MAX_KEY_BYTES = 1024
"""S3's limit of a key in bytes of UTF-8 (AWS, "Creating object key names")."""


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
    """The files of one run to one destination: the ``ahead`` ones, then biggest first.

    ``impossible`` maps names to reasons.

    ``items`` and ``names`` make what they are asked for at that moment: a job of a million files is small until all
    of its items are wanted at once.
    """

    bucket: str
    settings: ObjectSettings
    items: Sequence[FileItem]
    names: Sequence[str]
    impossible: dict[str, str]
    total_bytes: int = 0
    """Sum of the sizes of ``items``."""
    ahead: int = 0
    """So many items come first whatever their size."""
    root: str = ""
    """The run folder."""

    def in_parts(self) -> Iterator[FileItem]:
        """Yield the items that are multipart uploads, without making the others."""
        for number in range(min(self.ahead, len(self.items))):
            if is_multipart((item := self.items[number]).size):
                yield item
        for number in range(self.ahead, len(self.items)):
            if not is_multipart((item := self.items[number]).size):
                return
            yield item


class Planned(Sequence[FileItem]):
    """The items of a job, made when they are asked for; four bytes each.

    Those named in ``first`` come first, then the biggest; equal sizes by name.
    """

    def __init__(
        self,
        prefix: str,
        root: str,
        files: Sequence[PlannedFile],
        memory: Memory,
        compare: Mapping[str, int] | None = None,
        first: Collection[str] = (),
    ) -> None:
        """Only compare where ``compare`` is given: the remembered part sizes by name."""
        self._prefix = prefix
        self.root = root
        self._files = files
        self._memory = memory
        self._compare = compare
        self.impossible: dict[str, str] = {}
        self.total_bytes = 0
        self.ahead = 0
        self._order = array("I", self._sorted(first))

    def _sorted(self, first: Collection[str]) -> list[int]:
        names: list[str] = []
        sizes, rows = array("Q"), []
        for row, file in enumerate(self._files):
            names.append(file.name)
            sizes.append(file.size)
            try:
                key_for(self._prefix, file.name)
                part_size(file.size)
            except Unplannable as error:
                self.impossible[file.name] = str(error)
            else:
                rows.append(row)
                self.total_bytes += file.size
        ahead = {row for row in rows if names[row] in first} if first else set()
        rows.sort(key=names.__getitem__)
        del names  # the largest of all that is needed here
        rows.sort(key=sizes.__getitem__, reverse=True)  # stable: equal sizes stay in the order of their names
        if ahead:
            self.ahead = len(ahead)
            rows.sort(key=lambda row: row not in ahead)
        return rows

    def file(self, number: int) -> PlannedFile:
        """Return the file of an item."""
        return self._files[self._order[number]]

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, number: int) -> FileItem: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[FileItem, ...]: ...
    def __getitem__(self, number: int | slice) -> FileItem | tuple[FileItem, ...]:
        if isinstance(number, slice):
            return tuple(self._item(one) for one in range(*number.indices(len(self))))
        return self._item(range(len(self))[number])

    def _item(self, number: int) -> FileItem:
        file, memory = self.file(number), self._memory
        name = file.name
        path, key = os.path.join(self.root, name), key_for(self._prefix, name)
        if self._compare is not None:
            part = self._compare.get(name)
            return FileItem(number, path, key, file.size, file.mtime_ns, file.inode, None, False, "compare", part)
        known, stray = memory.uploads.get(name), name in memory.stray
        mode: Mode = "probe" if name in memory.probe else "send"
        return FileItem(number, path, key, file.size, file.mtime_ns, file.inode, known, stray, mode)


class PlannedNames(Sequence[str]):
    """The names of a job's files, in the order of its items."""

    def __init__(self, items: Planned) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        if isinstance(number, slice):
            return tuple(self._items.file(one).name for one in range(*number.indices(len(self))))
        return self._items.file(number).name


def plan_job(
    bucket: str,
    prefix: str,
    root: str,
    files: Iterable[PlannedFile],
    settings: ObjectSettings = DEFAULTS,
    memory: Memory = NOTHING,
    first: Collection[str] = (),
) -> Job:
    """Plan the files of the run folder ``root``: those named in ``first``, then the biggest, equal sizes by name.

    ``items[i].number == i`` and ``names[i]`` is that file's name. ``files`` are kept, and must not change.
    """
    return _planned(bucket, settings, Planned(prefix, root, _sequence(files), memory, first=first))


def compare_job(
    bucket: str, prefix: str, root: str, files: Iterable[PlannedFile], part_sizes: Mapping[str, int]
) -> Job:
    """Plan the comparison of files with what S3 holds; nothing is sent. ``part_sizes`` are those remembered by name."""
    return _planned(bucket, DEFAULTS, Planned(prefix, root, _sequence(files), NOTHING, part_sizes))


def _planned(bucket: str, settings: ObjectSettings, items: Planned) -> Job:
    return Job(
        bucket, settings, items, PlannedNames(items), items.impossible, items.total_bytes, items.ahead, items.root
    )


def _sequence(files: Iterable[PlannedFile]) -> Sequence[PlannedFile]:
    return files if isinstance(files, Sequence) else tuple(files)


def worker_count(job_files: int, job_bytes: int, cores: int) -> int:
    """Return how many workers are worth their start for so much work, at most ``cores``.

    A worker costs about half a second of CPU to start; that pays from some hundred small files or some
    dozen MB on. The parts of one big file go to several workers.
    """
    pieces = max(job_files, job_bytes // MULTIPART_THRESHOLD)
    return max(1, min(cores, max(job_files // 100, job_bytes // (32 * MiB)) + 1, pieces))
