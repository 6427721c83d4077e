"""The one JSON document on stdout that ``--json`` asks for, also where a command cannot begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

from async_s3_upload.cli.report import Report
from async_s3_upload.errors import UploadError

_printed: list[str] = []
"""What was printed: one document at most."""


class Document(Protocol):
    """A report that can be printed."""

    def as_json(self) -> str:
        """Return the document."""
        ...


def print_document(report: Document) -> None:
    """Print the document on stdout."""
    _printed.append(report.as_json())
    typer.echo(_printed[-1])


def printed() -> bool:
    """Tell whether there was a document."""
    return bool(_printed)


@contextmanager
def json_on_failure(as_json: bool) -> Iterator[None]:
    """Print the JSON document also where the command cannot begin; the error itself goes on."""
    try:
        yield
    except Exception as error:
        if as_json:
            code = error.exit_code if isinstance(error, UploadError) else 1
            print_document(Report(problems=str(error).splitlines(), exit_code=code))
        raise
