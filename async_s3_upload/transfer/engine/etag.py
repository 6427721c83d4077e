"""ETags that can be computed: MD5 of an object of one piece, MD5 of the parts' MD5s of a multipart object."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from async_s3_upload.transfer import parts

_MD5 = re.compile(r"[0-9a-fA-F]{32}(?:-([1-9][0-9]*))?")


class EtagSum:
    """Computes the ETag of consecutive pieces of data, of any lengths, sent in parts of ``part_size`` bytes.

    ``part_size`` None is an object of one piece.
    """

    def __init__(self, part_size: int | None) -> None:
        self.part_size = part_size
        self._open = hashlib.md5(usedforsecurity=False)
        self._filled = 0
        self._closed: list[bytes] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next piece."""
        view = memoryview(data)
        while view:
            room = len(view) if self.part_size is None else self.part_size - self._filled
            self._open.update(view[:room])
            self._filled += min(room, len(view))
            view = view[room:]
            if self._filled == self.part_size:
                self._close_part()

    def _close_part(self) -> None:
        self._closed.append(self._open.digest())
        self._open = hashlib.md5(usedforsecurity=False)
        self._filled = 0

    def etag(self) -> str:
        """Return the ETag once all data was taken."""
        if self.part_size is None:
            return self._open.hexdigest()
        if self._filled or not self._closed:
            self._close_part()
        return f"{hashlib.md5(b''.join(self._closed), usedforsecurity=False).hexdigest()}-{len(self._closed)}"


def joined_etag(etags: Iterable[str]) -> str | None:
    """Return the ETag of an object joined from parts of these ETags; None where one of them is no MD5 sum."""
    found = list(etags)
    if not all(re.fullmatch("[0-9a-fA-F]{32}", etag) for etag in found):
        return None
    digests = b"".join(bytes.fromhex(etag) for etag in found)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(found)}"


def possible_part_sizes(etag: str, size: int, recorded: int | None) -> list[int | None]:
    """Return the part sizes with which an object of ``size`` bytes may have got its ETag, the likeliest alone.

    None stands for one piece. ``recorded`` is the part size that is remembered; without one, those count that
    we and the replaced tool use. Empty where the ETag is no MD5 sum, or of another number of parts.
    """
    shape = _MD5.fullmatch(etag)
    if shape is None:
        return []
    if shape[1] is None:
        return [None]
    count = int(shape[1])
    fitting = [
        step
        for step in (recorded, parts.part_size(size), parts.PART_SIZE, _doubled(size))
        if step and max(1, -(-size // step)) == count
    ]
    if recorded in fitting:
        return [recorded]
    return list(dict.fromkeys(fitting))


def _doubled(size: int) -> int:
    """The part size of the replaced tool: 8 MiB, doubled until no more than 10,000 parts are needed."""
    step = parts.PART_SIZE
    while size > step * parts.MAX_PARTS:
        step *= 2
    return step
