"""The names in a run folder, listed once, and files that match patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from async_s3_upload.runs.name_patterns import shell_pattern


class Listing:
    """The entries of one folder; names are compared without regard to case.

    Raises:
        OSError: the folder cannot be listed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._entries: dict[str, list[os.DirEntry[str]]] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                self._entries.setdefault(entry.name.lower(), []).append(entry)

    def file(self, name: str) -> str | None:
        """Return the name, as it is spelt, of the regular file of that name; links to files count."""
        return self._one(name, want_folder=False)

    def files(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of the files that are there, as they are spelt, in the order of ``names``."""
        return tuple(found for name in names if (found := self.file(name)) is not None)

    def matching(self, pattern: re.Pattern[str], *, folders: bool = False) -> list[str]:
        """Return the names of files (or folders) that the pattern fits as a whole, sorted."""
        named = (entry for lower, same in self._entries.items() if pattern.fullmatch(lower) for entry in same)
        return sorted(entry.name for entry in named if _is(entry, want_folder=folders))

    def mtime(self, name: str) -> float:
        """Return a file's mtime in seconds since the epoch.

        Raises:
            OSError: it cannot be looked at.
        """
        return os.stat(os.path.join(self.path, name)).st_mtime

    def at(self, name: str) -> str:
        """Return the path of an entry."""
        return os.path.join(self.path, name)

    def _one(self, name: str, *, want_folder: bool) -> str | None:
        same = [entry for entry in self._entries.get(name.lower(), ()) if _is(entry, want_folder=want_folder)]
        if not same:
            return None
        return min(same, key=lambda entry: (entry.name != name, entry.name)).name


def files_like(listing: Listing, pattern: str) -> list[str]:
    """Return the files that a shell pattern with ``/`` between folders fits, relative to the listing's folder, sorted.

    Folders that cannot be listed hold none.
    """
    return sorted(_below(listing, pattern.split("/")))


def _below(listing: Listing, parts: Sequence[str]) -> Iterator[str]:
    first, rest = parts[0], parts[1:]
    name = shell_pattern(first)
    if not rest:
        yield from listing.matching(name)
        return
    for folder in listing.matching(name, folders=True):
        try:
            inner = Listing(listing.at(folder))
        except OSError:
            continue
        for found in _below(inner, rest):
            yield f"{folder}/{found}"


def _is(entry: os.DirEntry[str], *, want_folder: bool) -> bool:
    try:
        return entry.is_dir() if want_folder else entry.is_file()
    except OSError:  # a link that goes round in circles
        return False
