"""What ``config check`` found: a line for each thing it looked at, and the JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from async_s3_upload.delivery.row import RunRow
from async_s3_upload.text import plural, printable

Level = Literal["ok", "warning", "problem"]
Check = Literal[
    "log_dir",
    "lock",
    "output",
    "folder",
    "scheduler",
    "worker",
    "credentials",
    "endpoint",
    "clock",
    "bucket",
    "region",
    "owner",
    "list",
    "list_uploads",
    "put",
    "get",
    "multipart",
    "list_parts",
    "abort",
    "checksum",
    "delete",
    "webhook",
]
"""What is looked at; these names do not change."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is about, how it is, and, where it is not ``ok``, what to do."""

    check: Check
    level: Level
    subject: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the row of the JSON document."""
        return {
            "check": self.check,
            "level": self.level,
            "subject": printable(self.subject),
            "text": printable(self.text),
            "advice": printable(self.advice),
        }

    def as_line(self) -> str:
        """Return the line for people."""
        return printable(f"{self.level:<7}  {self.subject}: {self.text}{self.advice and '; '}{self.advice}")


@dataclass(slots=True)
class CheckReport:
    """What the config means, what was found, and which runs there are; ``runs`` is None where nobody looked.

    ``stopped`` says why not everything was looked at, if so.
    """

    path: str
    summary: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    runs: list[RunRow] | None = None
    run_lines: Sequence[str] = ()
    stopped: str = ""
    exit_code: int = 0

    def count(self, level: Level) -> int:
        """Return how many findings have this level."""
        return sum(finding.level == level for finding in self.findings)

    def problems(self) -> list[str]:
        """Return a sentence for each problem."""
        found = [f"{finding.subject}: {finding.text}" for finding in self.findings if finding.level == "problem"]
        return [printable(text) for text in (*found, self.stopped) if text]

    def as_json(self) -> str:
        """Return the one JSON document that ``--json`` prints."""
        document = {
            "config": printable(self.path),
            "settings": self.settings,
            "checks": [finding.as_json() for finding in self.findings],
            "runs": None if self.runs is None else [row.as_json() for row in self.runs],
            "problems": self.problems(),
            "exit_code": self.exit_code,
        }
        return json.dumps(document, indent=2)

    def lines(self) -> list[str]:
        """Return the lines for people."""
        lines = [f"{printable(self.path)}: the config is valid", *self.summary]
        if self.stopped:
            return [*lines, "", *(finding.as_line() for finding in self.findings), "", self.stopped]
        if self.runs is None:
            found = ["", *(finding.as_line() for finding in self.findings)] if self.findings else []
            return [*lines, *found, "", "Give --online to see whether folders, S3 and Slack can be reached with it."]
        lines += ["", *(finding.as_line() for finding in self.findings), "", *self.run_lines, ""]
        problems, warnings = self.count("problem"), self.count("warning")
        if not problems and not warnings:
            return [*lines, "nothing is wrong"]
        return [*lines, f"{plural(problems, 'problem')}, {plural(warnings, 'warning')}"]
