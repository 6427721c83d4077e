"""What ``verify`` found, run by run: the rows behind ``--json`` and the lines for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from async_s3_upload.text import duration_text, plural, printable, size_text
from async_s3_upload.transfer.plan import key_prefix

Level = Literal["quick", "deep"]
Kind = Literal["missing", "different", "unproved", "failed", "repaired"]
State = Literal["verified", "different", "failed"]

SHOWN = 20
"""So many of a kind are named to people; JSON has all."""
DIFFERENCE = 4
UNFINISHED = 3


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One file or object: ``path`` is absolute and ``key`` whole; each may be empty where there is none."""

    path: str
    key: str
    detail: str

    def as_json(self) -> dict[str, str]:
        """Return the entry of the JSON document."""
        return {"path": printable(self.path), "key": printable(self.key), "detail": printable(self.detail)}


@dataclass(slots=True)
class VerifiedRun:
    """One run to one destination. ``trouble`` says why it could not be verified to the end.

    ``missing`` and ``different`` are what S3 lacks or holds otherwise, ``extra`` keys that no file explains,
    ``unproved`` what nothing was found against, but could not be compared; ``failed`` could not be asked or read.
    ``repaired`` was missing or different and is right now. ``files`` and ``bytes`` are what should be in S3.
    """

    run_id: str
    run_path: str
    bucket: str
    remote_path: str
    level: Level
    missing: list[Finding] = field(default_factory=list)
    different: list[Finding] = field(default_factory=list)
    unproved: list[Finding] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    trouble: str = ""
    notes: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0

    @property
    def prefix(self) -> str:
        """Start of the run's keys."""
        return key_prefix(self.remote_path, os.path.basename(self.run_path) or self.run_id)

    @property
    def state(self) -> State:
        """A difference that was found counts more than what could not be asked."""
        if self.missing or self.different:
            return "different"
        return "failed" if self.failed or self.trouble else "verified"

    def as_json(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        kinds: dict[Kind, list[Finding]] = {
            "missing": self.missing,
            "different": self.different,
            "unproved": self.unproved,
            "failed": self.failed,
            "repaired": self.repaired,
        }
        return {
            "run_id": printable(self.run_id),
            "run_path": printable(self.run_path),
            "bucket": self.bucket,
            "prefix": printable(self.prefix),
            "level": self.level,
            "state": self.state,
            "detail": printable("; ".join(filter(None, [self.trouble, *self.notes]))),
            "files": self.files,
            "bytes": self.bytes,
            **{kind: [finding.as_json() for finding in findings] for kind, findings in kinds.items()},
            "extra": [printable(key) for key in self.extra],
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterator[str]:
        """Yield the line of the run, then what was found."""
        counts = [
            f"{len(found):,} {word}"
            for word, found in (
                ("missing", self.missing),
                ("different", self.different),
                ("failed", self.failed),
                ("repaired", self.repaired),
                ("extra", self.extra),
                ("cannot be proved", self.unproved),
            )
            if found
        ]
        place = f"{self.bucket}:{printable(self.prefix)}" if self.bucket else "no known bucket"
        amount = f"{plural(self.files, 'file')}, {size_text(self.bytes)}"
        head = f"{printable(self.run_id)}: {self.state}"
        if counts:
            head += ": " + ", ".join(counts)
        yield f"{head} ({place}, {self.level}, {amount}, {duration_text(self.seconds)})"
        for note in filter(None, [self.trouble, *self.notes]):
            yield f"  {printable(note)}"
        yield from _capped("missing", self.missing)
        yield from _capped("different", self.different)
        yield from _capped("failed", self.failed)
        yield from _capped("repaired", self.repaired)
        yield from _capped("extra", [Finding("", key, "no file explains it; it is left alone") for key in self.extra])
        yield from _capped("not proved", self.unproved)


def _capped(word: str, found: list[Finding]) -> Iterator[str]:
    for finding in found[:SHOWN]:
        yield f"  {word}: {printable(finding.path or finding.key)}: {printable(finding.detail)}"
    if len(found) > SHOWN:
        yield f"  ... and {len(found) - SHOWN:,} more {word}"


@dataclass(slots=True)
class VerifyReport:
    """What the command found; ``trouble_code`` is the exit code of an error that ended it, else 0."""

    rows: list[VerifiedRun] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    trouble_code: int = 0

    @property
    def exit_code(self) -> int:
        """An error that ended the command, else a difference, else what could not be finished, else 0."""
        states = {row.state for row in self.rows}
        if self.trouble_code:
            return self.trouble_code
        if "different" in states:
            return DIFFERENCE
        return UNFINISHED if "failed" in states or self.problems else 0

    def as_json(self) -> str:
        """Return the one JSON document that ``--json`` prints."""
        document = {
            "runs": [row.as_json() for row in self.rows],
            "problems": [printable(problem) for problem in self.problems],
            "exit_code": self.exit_code,
        }
        return json.dumps(document, indent=2)
