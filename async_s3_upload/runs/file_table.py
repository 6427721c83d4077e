"""The files of a run folder, in columns: a million of them in some dozen megabytes.

Each folder's name is held once, and so is a file's name within its folder where the next folders have it too.
Whoever takes a file out gets a ``LocalFile``, made at that moment.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

_LARGEST = 2**63 - 1
CUT_OFF = -_LARGEST - 1
"""Stands in the column of times where the time does not fit; the table's ``LocalFile`` has it exactly."""
_SHARED_NAMES = 65_536
"""So many different names are held ready for the next folders: those of one folder of any run, and a bound."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One regular file: ``name`` relative to the run folder; ``size`` (bytes), ``mtime_ns``, ``inode`` from os.stat."""

    name: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Block:
    """Files that lie in one folder: the rows from ``first`` on of the table.

    ``folder`` ends with a slash, or is empty; ``folder + bases[i]`` is a name; a time may be CUT_OFF.
    """

    folder: str
    first: int
    bases: list[str]
    sizes: array[int]
    mtimes_ns: array[int]


class FileTable(Sequence[LocalFile]):
    """A growing sequence of files."""

    __slots__ = ("_bases", "_firsts", "_folders", "_inodes", "_mtimes", "_odd", "_shared", "_sizes")

    def __init__(self, files: Iterable[LocalFile] = ()) -> None:
        self._folders: list[str] = []
        self._firsts: list[int] = []
        self._bases: list[str] = []
        self._sizes = array("q")
        self._mtimes = array("q")
        self._inodes = array("Q")
        self._odd: dict[int, LocalFile] = {}
        self._shared: dict[str, str] = {}
        for file in files:
            cut = file.name.rfind("/") + 1
            self.add(file.name[:cut], file.name[cut:], file.size, file.mtime_ns, file.inode)

    def add(self, folder: str, base: str, size: int, mtime_ns: int, inode: int) -> None:
        """Append the file ``folder + base``; cheap where the files of a folder come one after the other."""
        if not self._folders or self._folders[-1] != folder:
            self._folders.append(folder)
            self._firsts.append(len(self._bases))
            if len(self._shared) > _SHARED_NAMES:
                self._shared.clear()
        if not -_LARGEST <= mtime_ns <= _LARGEST:  # some file systems have years after 2262
            self._odd[len(self._bases)] = LocalFile(folder + base, size, mtime_ns, inode)
            mtime_ns = CUT_OFF
        self._sizes.append(size)
        self._mtimes.append(mtime_ns)
        self._inodes.append(inode)
        self._bases.append(self._shared.setdefault(base, base))

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes."""
        return sum(self._sizes)

    def blocks(self) -> Iterator[Block]:
        """Yield the files folder by folder, in the order of the table; a folder may come more than once."""
        ends = [*self._firsts[1:], len(self._bases)]
        for folder, first, end in zip(self._folders, self._firsts, ends, strict=False):
            yield Block(folder, first, self._bases[first:end], self._sizes[first:end], self._mtimes[first:end])

    def names(self) -> Iterator[str]:
        """Yield the names in the order of the table."""
        for block in self.blocks():
            folder = block.folder
            for base in block.bases:
                yield folder + base

    def __len__(self) -> int:
        return len(self._bases)

    @overload
    def __getitem__(self, row: int) -> LocalFile: ...
    @overload
    def __getitem__(self, row: slice) -> FileTable: ...
    def __getitem__(self, row: int | slice) -> LocalFile | FileTable:
        if isinstance(row, slice):
            return FileTable(self[number] for number in range(*row.indices(len(self))))
        if not 0 <= row < len(self._bases):
            row = range(len(self._bases))[row]
        if row in self._odd:
            return self._odd[row]
        folder = self._folders[bisect_right(self._firsts, row) - 1]
        return LocalFile(folder + self._bases[row], self._sizes[row], self._mtimes[row], self._inodes[row])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple, FileTable)):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"FileTable({list(self[:3])}{'...' if len(self) > 3 else ''})"


class Selection(Sequence[LocalFile]):
    """Some rows of a table, in the order given; four bytes a file."""

    __slots__ = ("_rows", "_table")

    def __init__(self, table: FileTable, rows: Iterable[int]) -> None:
        self._table = table
        self._rows = array("I", rows)

    def parted(self, rows: Collection[int]) -> tuple[Selection, Selection]:
        """Return the files whose row in the table is not one of ``rows``, and those whose is, in their order."""
        if not rows:
            return self, Selection(self._table, ())
        return (
            Selection(self._table, (row for row in self._rows if row not in rows)),
            Selection(self._table, (row for row in self._rows if row in rows)),
        )

    def both(self, other: Selection) -> Selection:
        """Return the files that are in ``other`` too, which is of the same table, in the order of this one."""
        rows = set(other._rows) if len(other) else ()
        return Selection(self._table, (row for row in self._rows if row in rows))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> LocalFile: ...
    @overload
    def __getitem__(self, index: slice) -> Selection: ...
    def __getitem__(self, index: int | slice) -> LocalFile | Selection:
        if isinstance(index, slice):
            return Selection(self._table, self._rows[index])
        return self._table[self._rows[index]]

    def __repr__(self) -> str:
        return f"Selection of {len(self):,} of {len(self._table):,} files"
