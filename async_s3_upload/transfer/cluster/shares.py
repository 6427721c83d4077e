"""What of each share is still to be done here: a Dask task lives as long as its share."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from async_s3_upload.transfer.cluster.opening import Bye, Withdrawn
from async_s3_upload.transfer.lending import CutOff, CutOffDone, Returned
from async_s3_upload.transfer.messages import Events, Share, Stop
from async_s3_upload.transfer.rows import ENDS
from async_s3_upload.transfer.workers.channel import Down, Up


class Shares:
    """Shares by the numbers of their files.

    Shares and messages come on two ways: what was cut off before it came is not begun.
    """

    def __init__(self) -> None:
        self._of: dict[int, _Left] = {}
        self._cut: list[range] = []
        self._stopped = False

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self._of)

    def add(self, share: Share) -> tuple[Share | None, threading.Event]:
        """Take a share; returns what of it is to be done, None if nothing is, and the event of its end."""
        settled = threading.Event()
        items = tuple(item for item in share.items if not self._gone(item.number))
        if not items:
            settled.set()
            return None, settled
        left = _Left({item.number for item in items}, settled)
        self._of.update(dict.fromkeys(left.numbers, left))
        return replace(share, items=items), settled

    def told(self, message: Down) -> None:
        """Note what the coordinator wants no more."""
        if isinstance(message, CutOff):
            self._cut.append(range(message.first, message.end))
        elif isinstance(message, Stop):
            self._stopped = True

    def said(self, message: Up | Bye | Withdrawn) -> None:
        """Note what the worker is done with."""
        if isinstance(message, Events):
            self._settle(row[1] for row in message.rows if row[0] in ENDS)
        elif isinstance(message, Returned):
            self._settle(message.files)
        elif isinstance(message, CutOffDone):
            self._settle([number for number in self._of if self._gone(number)])

    def end(self) -> None:
        """Nothing more is done."""
        self._settle(list(self._of))

    def _gone(self, number: int) -> bool:
        return self._stopped or any(number in cut for cut in self._cut)

    def _settle(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            left = self._of.pop(number, None)
            if left is not None:
                left.numbers.discard(number)
                if not left.numbers:
                    left.settled.set()


class _Left:
    __slots__ = ("numbers", "settled")

    def __init__(self, numbers: set[int], settled: threading.Event) -> None:
        self.numbers = numbers
        self.settled = settled
