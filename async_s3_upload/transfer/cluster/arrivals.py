"""Which shares have come to a session: they go another way than messages, and may wait for a thread there."""

from __future__ import annotations

from collections.abc import Collection

from async_s3_upload.transfer.workers.channel import Down


class Arrivals:
    """Shares by the numbers under which they were given, from 1; messages that have to wait for them."""

    def __init__(self) -> None:
        self._come: set[int] = set()
        self._withdrawn: set[int] = set()
        self._held: list[tuple[int, Down]] = []

    def comes(self, number: int) -> bool:
        """Note a share that has come; tells whether it is still wanted here."""
        self._come.add(number)
        return number not in self._withdrawn

    def withdraw(self, numbers: Collection[int]) -> tuple[int, ...]:
        """Want those shares no more that have not come; returns their numbers."""
        late = tuple(number for number in numbers if number not in self._come)
        self._withdrawn.update(late)
        return late

    def hold(self, given: int, message: Down) -> bool:
        """Keep a message until the first ``given`` shares have come; tells whether it has to wait."""
        if given > len(self._come | self._withdrawn):
            self._held.append((given, message))
            return True
        return False

    def due(self) -> list[Down]:
        """Return the messages that have waited long enough."""
        here = len(self._come | self._withdrawn)
        due = [message for given, message in self._held if given <= here]
        self._held = [(given, message) for given, message in self._held if given > here]
        return due
