"""What a command did: the document behind ``--json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from async_s3_upload.delivery.row import RunRow, State
from async_s3_upload.text import printable


@dataclass(slots=True)
class Report:
    """What a command did. ``problems`` are sentences about what could not be looked at or reached.

    ``others`` counts the sub-folders of the monitored folders that are no run folders.
    """

    rows: list[RunRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: int = 0
    exit_code: int = 0

    def as_json(self) -> str:
        """Return the one JSON document that ``--json`` prints."""
        document: dict[str, Any] = {
            "runs": [row.as_json() for row in self.rows],
            "other_folders": self.others,
            "problems": [printable(problem) for problem in self.problems],
            "exit_code": self.exit_code,
        }
        return json.dumps(document, indent=2)

    def with_state(self, state: State) -> list[str]:
        """Return the ids of the runs in a state, in order."""
        return [printable(row.run_id) for row in self.rows if row.state == state]
