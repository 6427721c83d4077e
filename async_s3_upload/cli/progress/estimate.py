"""How fast a run goes, and how long it will still take: told from what was seen of late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from async_s3_upload.delivery.watching import RunProgress

WINDOW_S = 15.0
"""What was sent longer ago says little: a run begins with its biggest files and ends with the smallest ones."""


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    bytes_sent: int
    files_done: int


class Pace:
    """Rates of one run over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()

    def note(self, now_s: float, run: RunProgress) -> None:
        """Look at the run; to be called a few times a second at most, as each look is kept for WINDOW_S."""
        self._seen.append(_Seen(now_s, run.bytes_sent, run.files_done))
        while len(self._seen) > 2 and self._seen[1].at_s <= now_s - WINDOW_S:
            self._seen.popleft()

    def _per_s(self, amount: int) -> float:
        seconds = self._seen[-1].at_s - self._seen[0].at_s if self._seen else 0.0
        return amount / seconds if seconds > 0 else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes sent in a second."""
        return self._per_s(self._seen[-1].bytes_sent - self._seen[0].bytes_sent) if self._seen else 0.0

    @property
    def files_per_s(self) -> float:
        """Files done in a second."""
        return self._per_s(self._seen[-1].files_done - self._seen[0].files_done) if self._seen else 0.0

    def left_s(self, run: RunProgress) -> float | None:
        """Return the seconds that what is left will take at this pace; None where nobody can tell."""
        amount, per_s = run.bytes_total - run.bytes_done, self.bytes_per_s
        if amount <= 0:  # empty files may be left
            amount, per_s = run.files_total - run.files_done, self.files_per_s
        if amount <= 0:
            return 0.0
        return amount / per_s if per_s > 0 else None
