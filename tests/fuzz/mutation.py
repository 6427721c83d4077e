"""Changes to an input, each drawn from a random.Random: the same seed gives the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Change = Callable[[Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]
"""From the source of chance, an input, all inputs kept so far, and the words of the format."""

LONGEST = 4 * 1024
MOST_CHANGES = 6


def mutate(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Return the input after one to six changes, at most 4 KiB of it: long inputs are slow ones."""
    for _ in range(draw.randint(1, MOST_CHANGES)):
        content = draw.choice(CHANGES)(draw, content, kept, words)
    return content[:LONGEST]


def grown(draw: Random, content: bytes, words: Sequence[bytes], size: int) -> bytes:
    """Return ``size`` bytes: the input with some short piece of it, or word, repeated inside."""
    start, stop = _span(draw, content, 64)
    unit = draw.choice([content[start:stop], draw.choice(words), draw.choice(words) + draw.choice(words)]) or b"x"
    at = draw.choice([start, len(content), 0])
    return (content[:at] + unit * (max(size - len(content), 0) // len(unit) + 1) + content[at:])[:size]


def _span(draw: Random, content: bytes, longest: int) -> tuple[int, int]:
    start = draw.randint(0, len(content))
    return start, min(len(content), start + draw.randint(0, longest))


def _byte(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    at = draw.randint(0, len(content))
    return content[:at] + draw.randbytes(1) + content[at + draw.randint(0, 1) :]


def _word(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _span(draw, content, draw.choice([0, 1, 16]))
    return content[:start] + draw.choice(words) + content[stop:]


def _without(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _span(draw, content, draw.choice([1, 8, 200]))
    return content[:start] + content[stop:]


def _again(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _span(draw, content, draw.choice([8, 200]))
    return content[:stop] + content[start:stop] * draw.choice([1, 1, 3, 50]) + content[stop:]


def _cut(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    return content[: draw.randint(0, len(content))]


def _joined(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    other = draw.choice(kept)
    return content[: draw.randint(0, len(content))] + other[draw.randint(0, len(other)) :]


def _lines_moved(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        lines.insert(draw.randrange(len(lines)), lines.pop(draw.randrange(len(lines))))
    return b"".join(lines)


def _exchanged(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    return content.replace(draw.choice(words), draw.choice(words), draw.choice([1, 5, -1]))


def _encoded(draw: Random, content: bytes, kept: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    return content.decode("utf-8", "replace").encode(
        draw.choice(["utf-8-sig", "utf-16", "utf-16-be", "cp1252"]), "replace"
    )


CHANGES: Sequence[Change] = (_byte, _word, _word, _without, _again, _cut, _joined, _lines_moved, _exchanged, _encoded)
