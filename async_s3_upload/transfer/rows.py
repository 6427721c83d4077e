"""Events as plain tuples, to cross the pipe: a pickled dataclass costs ten times as much as its fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from async_s3_upload.transfer.ending import UploadFailed, UploadReady
from async_s3_upload.transfer.lending import PartFailed, PartsQueued
from async_s3_upload.transfer.messages import (
    Event,
    FileDone,
    FileFailed,
    LogLine,
    Note,
    PartDone,
    UploadBegun,
    UploadGone,
)

Row = tuple[Any, ...]

_OF_FILES = (
    FileDone,
    FileFailed,
    UploadReady,
    UploadFailed,
    UploadBegun,
    PartDone,
    UploadGone,
    PartFailed,
    PartsQueued,
)
_TYPES: tuple[type[Any], ...] = (*_OF_FILES, LogLine, Note)
_KINDS = {found: place for place, found in enumerate(_TYPES)}
_FIELDS = [attrgetter(*(found.name for found in fields(kind))) for kind in _TYPES]

ENDS = tuple(_KINDS[kind] for kind in (FileDone, FileFailed, UploadReady, UploadFailed))
"""Kinds after which a worker has nothing more to do with the file."""
NUMBERED = len(_OF_FILES)
"""Kinds below this one are of a file, whose number comes next."""


def rows_of(events: Iterable[Event]) -> tuple[Row, ...]:
    """Return the events as rows: their kind, then their fields in order."""
    return tuple([_row_of(event) for event in events])


def _row_of(event: Event) -> Row:
    kind = _KINDS[type(event)]
    if isinstance(event, Note):  # of a single field the getter makes no tuple
        return kind, event.text
    return kind, *_FIELDS[kind](event)


def event_of(row: Row, base: int = 0) -> Event:
    """Return the event of a row, ``base`` taken off its file's number."""
    kind = row[0]
    if base and kind < NUMBERED:
        return _TYPES[kind](row[1] - base, *row[2:])  # type: ignore[no-any-return]
    return _TYPES[kind](*row[1:])  # type: ignore[no-any-return]
