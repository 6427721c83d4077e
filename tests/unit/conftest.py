"""What tests of single pieces share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class Records(logging.Handler):
    """Keeps what is logged, whoever handles it otherwise."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.kept]

    @property
    def text(self) -> str:
        """All that a formatter could write of the records."""
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
        return "\n".join(formatter.format(record) for record in self.kept)


@pytest.fixture
def records() -> Iterator[Records]:
    """The records of all loggers, the program's own included, at every level; loggers are put back afterwards."""
    handler = Records()
    own, root = logging.getLogger("async_s3_upload"), logging.getLogger()
    before = own.level, own.propagate, root.level
    own.propagate = True
    own.setLevel(logging.DEBUG)
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before[2])
    own.setLevel(before[0])
    own.propagate = before[1]
