"""What the workers do at this moment, as counts: each tells its own now and then, where they changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """One worker's: requests ``in_flight`` now, and ``retries`` since it began."""

    in_flight: int = 0
    retries: int = 0


class Activity:
    """All workers of a command together."""

    def __init__(self) -> None:
        self._told: dict[object, Counts] = {}
        self._retries_of_gone = 0

    def told(self, worker: object, counts: Counts) -> None:
        """Take what a worker said last."""
        self._told[worker] = counts

    def gone(self, worker: object) -> None:
        """Forget a worker that has left; its retries stay counted."""
        self._retries_of_gone += self._told.pop(worker, Counts()).retries

    @property
    def in_flight(self) -> int:
        """Requests on their way now, as far as the workers have told."""
        return sum(counts.in_flight for counts in self._told.values())

    @property
    def retries(self) -> int:
        """Requests that were made once more, since the command began."""
        return self._retries_of_gone + sum(counts.retries for counts in self._told.values())
