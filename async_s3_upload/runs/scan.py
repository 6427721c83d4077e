"""Lists the files of a run folder: every regular file, under its exact name.

Links to files are followed. Links to folders are followed, each real folder once, real folders before
links and links in the order of their names, so that cycles end and a folder has the same name in every scan.
What cannot go up is named, never dropped silently.
"""

from __future__ import annotations

import heapq
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.text import printable

__all__ = ["NOT_UTF8", "LocalFile", "Scan", "Unsendable", "scan"]

NOT_UTF8 = "the file name is not valid UTF-8, S3 keys have to be: rename the file"


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Something in the run folder that should go up but cannot, with the reason."""

    name: str
    reason: str


@dataclass(slots=True)
class Scan:
    """What a run folder holds.

    ``regular_files`` counts every regular file that is not excluded, also those in ``unsendable``.
    ``warnings`` are sentences about what is left out (FIFOs, sockets, devices, links into folders seen before).
    """

    root: str
    files: FileTable = field(default_factory=FileTable)
    unsendable: list[Unsendable] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    regular_files: int = 0
    excluded: int = 0

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of ``files``."""
        return self.files.total_bytes

    def names(self) -> Iterator[str]:
        """Yield the names of all that has to be in S3 for the run to be complete."""
        yield from self.files.names()
        for item in self.unsendable:
            yield item.name


def scan(root: str, exclude: Sequence[re.Pattern[str]] = ()) -> Scan:
    """List the run folder ``root`` (absolute), without files whose full path one of ``exclude`` matches.

    Raises:
        OSError: ``root`` itself cannot be listed. Trouble further down is in ``Scan.unsendable``.
    """
    return _Scanner(root, exclude).run()


class _Scanner:
    def __init__(self, root: str, exclude: Sequence[re.Pattern[str]]) -> None:
        self._scan = Scan(root)
        self._exclude = exclude
        self._folders: deque[str] = deque([""])
        self._links: list[str] = []  # a heap of links to folders; they wait until all real folders were seen
        self._behind_link = False
        self._seen: dict[tuple[int, int], str] = {}

    def run(self) -> Scan:
        root = self._scan.root
        with os.scandir(root):
            pass  # an unreadable root is the caller's error, not a failed file
        while self._folders or self._links:
            if self._folders:
                self._list(self._folders.popleft())
            else:
                self._behind_link = True
                self._follow(heapq.heappop(self._links))
        return self._scan

    def _is_excluded(self, path: str) -> bool:
        return any(pattern.search(path) for pattern in self._exclude)

    def _fail(self, name: str, reason: str) -> None:
        self._scan.unsendable.append(Unsendable(name, reason))

    def _list(self, folder: str) -> None:
        path = os.path.join(self._scan.root, folder)
        try:
            status = os.stat(path)
            seen = self._seen.setdefault((status.st_dev, status.st_ino), folder)
            # only behind links: some network file systems give two folders of a run one number
            if self._behind_link and seen != folder:
                self._leave_out(path, "the same folder as", seen)
                return
            # relative to the open folder a file's stat takes two thirds of the time
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with os.scandir(descriptor) as entries:
                    self._entries(f"{folder}/" if folder else "", entries)
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._is_excluded(path + "/"):
                self._fail(folder, f"the folder cannot be listed: {error.strerror or error}")

    def _path(self, name: str) -> str:
        return os.path.join(self._scan.root, name)

    def _entries(self, folder: str, entries: Iterable[os.DirEntry[str]]) -> None:
        """Take the entries of a folder, whose name ends with a slash or is empty."""
        is_excluded = self._is_excluded if self._exclude else None
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    self._folders.append(folder + entry.name)
                elif entry.is_symlink() and entry.is_dir():
                    if not self._is_excluded(self._path(folder + entry.name) + "/"):
                        heapq.heappush(self._links, folder + entry.name)
                elif is_excluded is not None and is_excluded(self._path(folder + entry.name)):
                    self._scan.excluded += 1
                else:
                    self._file(folder, entry)
            except OSError as error:
                if not self._is_excluded(self._path(folder + entry.name)):
                    self._unreadable(folder + entry.name, entry, error)

    def _unreadable(self, name: str, entry: os.DirEntry[str], error: OSError) -> None:
        if entry.is_symlink():
            self._fail(name, f"the link leads nowhere: {error.strerror or error}")
        else:
            self._scan.regular_files += 1
            self._fail(name, f"the file cannot be read: {error.strerror or error}")

    def _file(self, folder: str, entry: os.DirEntry[str]) -> None:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = _kind(status.st_mode)
            self._scan.warnings.append(f"{printable(self._path(folder + entry.name))} is {kind}, it is not uploaded")
            return
        self._scan.regular_files += 1
        base = entry.name
        if not (base.isascii() and folder.isascii()) and not _is_utf8(folder + base):
            self._fail(folder + base, NOT_UTF8)
        else:
            self._scan.files.add(folder, base, status.st_size, status.st_mtime_ns, status.st_ino)

    def _follow(self, link: str) -> None:
        """Descend into a link to a folder, unless its real folder is listed under another name already."""
        path = os.path.join(self._scan.root, link)
        try:
            status = os.stat(path)
        except OSError as error:
            self._fail(link, f"the link leads nowhere: {error.strerror or error}")
            return
        seen = self._seen.get((status.st_dev, status.st_ino))
        real_root = os.path.realpath(self._scan.root)
        if seen is None and os.path.commonpath([os.path.realpath(path), real_root]) != os.path.realpath(path):
            self._folders.append(link)
            return
        self._leave_out(path, "a link to", seen)

    def _leave_out(self, path: str, relation: str, seen: str | None) -> None:
        where = "a folder above the run" if seen is None else printable(seen) or "the run folder itself"
        self._scan.warnings.append(
            f"{printable(path)} is {relation} {where}: it is not followed, each real folder goes up once"
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(mode: int) -> str:
    for test, kind in (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    ):
        if test(mode):
            return kind
    return "no regular file"
