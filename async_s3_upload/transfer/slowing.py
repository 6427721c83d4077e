"""What crosses the pipe when S3 asks for fewer requests: it is meant for all workers, whichever of them was asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Halved:
    """From a worker: S3 refused a request of its own, and it has halved what it has in flight.

    It is not said of what SlowDown did: nothing goes back and forth.
    """


@dataclass(frozen=True, slots=True)
class SlowDown:
    """To a worker: S3 refused requests of others; it does less, too, unless it halved by itself in the last second."""
