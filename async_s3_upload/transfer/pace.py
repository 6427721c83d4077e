"""What those who send bytes and those who limit them both speak of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Pace = Callable[[int], Awaitable[None]]
"""Awaited with the number of bytes before they go out."""

SLICE_BYTES = 256 * 1024
"""What a store sends at a time, or less. At rates that allow it nobody is lent less: workers take turns then, instead
of all waiting for the rest of a slice and then sending at once."""
LEASE_S = 0.3
"""What was lent lapses after so long; it is also how late a worker can hear that the rate has changed."""
