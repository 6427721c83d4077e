"""What is fuzzed: a parser with its contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A parser of bytes.

    ``check`` gives the parser some bytes and raises (AssertionError, or whatever the parser let slip) where the
    contract is broken; it returns what came out, briefly: an input with a new outcome is worth changing further.
    ``seeds`` gives good inputs to begin with, ``words`` are what the format is made of, ``max_bytes`` is the longest
    input that the parser takes.
    """

    name: str
    check: Callable[[bytes], str]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes]
    max_bytes: int
