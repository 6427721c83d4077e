"""What one worker has in hand, as far as the coordinator knows."""

from __future__ import annotations

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.lending import PartShare
from async_s3_upload.transfer.messages import FileItem, Share

REQUEST_BYTES = 128 * 1024
"""A request takes about as long as sending so many bytes more."""


class Hand:
    """The files a worker was given and has not reported (``outstanding``), and parts it sends for other workers.

    ``units`` are the requests this still takes, about, and ``outstanding_bytes`` their bytes. Numbers are those of the
    pipe.
    """

    def __init__(self) -> None:
        self.outstanding: dict[int, FileItem] = {}
        self.outstanding_bytes = 0
        self.units = 0
        self.ready = False
        self.suspect: int | None = None
        """Number of the file this worker has alone in hand because workers died with it."""
        self.stocked = False
        """Whether it may hold work that it has not begun, of which others could do something."""
        self.helped = False
        """Whether the last thing it was given came from another worker: until it gets something done it keeps that."""
        self._parts: dict[int, list[int]] = {}

    @property
    def weight(self) -> int:
        """About how long it will take, in bytes."""
        return self.outstanding_bytes + self.units * REQUEST_BYTES

    def has_nothing(self) -> bool:
        """Tell whether it has neither files nor parts."""
        return not self.outstanding and not self._parts

    def took(self, share: Share) -> None:
        """Note files that were given."""
        self.stocked = True
        for item in share.items:
            number, size = share.base + item.number, item.size
            self.outstanding[number] = item
            if parts.is_multipart(size) and item.mode != "compare":
                self._add(number, -(-size // parts.part_size(size)), size)
            else:
                self.outstanding_bytes += size
                self.units += 1

    def settle(self, number: int) -> FileItem | None:
        """Note that a file was reported or given back; None if it was not outstanding."""
        item = self.outstanding.pop(number, None)
        if item is not None:
            if number in self._parts:
                self._drop_parts(number)
            else:
                self.outstanding_bytes -= item.size
                self.units -= 1
        if number == self.suspect:
            self.suspect = None
        return item

    def parts_are(self, number: int, parts: int, size: int) -> None:
        """Note what is really to be sent of a file: it may go on with an upload."""
        self.stocked = True
        if number in self._parts:
            before = self._parts[number]
            self._add(number, parts - before[0], size - before[1])

    def borrowed(self, share: PartShare) -> None:
        """Note parts that were given."""
        self.stocked = True
        self._add(share.item.number, len(share.parts), _bytes_of(share))

    def lent(self, share: PartShare) -> None:
        """Note parts that were given back."""
        self._add(share.item.number, -len(share.parts), -_bytes_of(share))

    def part_settled(self, number: int, size: int) -> None:
        """Note that a part was sent, or will not be."""
        self._add(number, -1, -size)

    def forget(self, numbers: range) -> None:
        """Forget the files with these numbers."""
        for number in [number for number in self.outstanding if number in numbers]:
            self.settle(number)
        for number in [number for number in self._parts if number in numbers]:
            self._drop_parts(number)

    def _drop_parts(self, number: int) -> None:
        parts, size = self._parts.pop(number)
        self.units -= parts
        self.outstanding_bytes -= size

    def _add(self, number: int, parts: int, size: int) -> None:
        left = self._parts.setdefault(number, [0, 0])
        left[0] += parts
        left[1] += size
        self.units += parts
        self.outstanding_bytes += size
        if left[0] <= 0 and number not in self.outstanding:
            self._drop_parts(number)


def _bytes_of(share: PartShare) -> int:
    size, step = share.item.size, share.part_size
    return sum(parts.part(size, step, number).length for number in share.parts)
