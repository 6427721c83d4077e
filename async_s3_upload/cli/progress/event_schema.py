"""The JSON Schema of the lines of ``--json-events``, made from the events themselves.

``python -m async_s3_upload.cli.progress.event_schema > docs/events.schema.json`` writes the published one.
"""

from __future__ import annotations

import json
import sys
from typing import Any, get_args

from async_s3_upload.delivery.events import WatchEvent

TIME = {
    "type": "string",
    "format": "date-time",
    "description": "When it was told, UTC, to the millisecond.",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
}


def event_schema() -> dict[str, Any]:
    """Return the schema of one line."""
    kinds = {kind.event: _schema_of(kind) for kind in get_args(WatchEvent)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of async-s3-upload --json-events",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


def _schema_of(kind: type[Any]) -> dict[str, Any]:
    from pydantic import TypeAdapter

    found = TypeAdapter(kind).json_schema()
    for described in found["properties"].values():
        described.pop("title", None)
    properties = {"time": TIME, "event": {"const": kind.event}} | found["properties"]
    return {
        "description": found["description"],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(event_schema(), indent=2) + "\n")
