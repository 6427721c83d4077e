"""The tables of keys in docs/configuration.md; ``python -m tests.support.config_tables`` writes them anew.

Key, type and default are those of the models. What a key means is the row's own text, which may say more than a
docstring, and link; a key without a row gets its docstring. A row also keeps what it says of a type that the schema
does not tell in words, and of what counts where a key is unset.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import Any

from pydantic.fields import FieldInfo

from async_s3_upload.config import MIB, Config, MonitorSection, ObjectProperties
from async_s3_upload.config_schema import config_schema
from tests.support.messages import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "configuration.md"
MOST_VALUES = 3
"""Of a key with more values a row names some, by hand."""
TABLE = re.compile(r"^\| key \| type \| default \| meaning \|\n\|(?:---\|)+\n(?:\|.*\n)*", re.MULTILINE)
SHARED = list(ObjectProperties.model_fields)
TABLES: tuple[tuple[type[ObjectProperties], list[str]], ...] = (
    (Config, [name for name in Config.model_fields if name not in SHARED]),
    (MonitorSection, [name for name in MonitorSection.model_fields if name not in SHARED]),
    (ObjectProperties, SHARED),
)
"""The model and the keys of each table, in the order of the document."""


def with_tables(text: str) -> str:
    """Return the document with its tables as the models have them."""
    found = TABLE.findall(text)
    assert len(found) == len(TABLES), f"{len(found)} tables of keys, not {len(TABLES)}"
    for old, (model, names) in zip(found, TABLES, strict=True):
        text = text.replace(old, table(model, names, rows_of(old)))
    return text


def rows_of(table_text: str) -> dict[str, list[str]]:
    """Return the cells of each row behind its key."""
    rows = [line.strip("| ").split(" | ") for line in table_text.splitlines()[2:]]
    return {row[0].strip("` "): row[1:] for row in rows}


def table(model: type[ObjectProperties], names: Sequence[str], rows: dict[str, list[str]]) -> str:
    """Return the table of these keys; ``rows`` are those which are there."""
    whole = config_schema()
    schema = (whole["$defs"]["MonitorSection"] if model is MonitorSection else whole)["properties"]
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name in names:
        field = model.model_fields[name]
        kind, default, meaning = rows.get(name, ("", "", ""))
        kind = type_in_words(schema[name]) or kind or "text"
        meaning = meaning or schema[name]["description"]
        lines.append(f"| `{name}` | {kind} | {default_in_words(name, field, default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def type_in_words(schema: dict[str, Any]) -> str:
    """Return a type in words, "" where the schema says too little for that."""
    of_several = schema.get("anyOf", [])
    others = [one for one in of_several if one != {"type": "null"}]
    if len(others) < len(of_several) and len(others) == 1 and not schema.keys() & {"pattern", "minimum"}:
        words = type_in_words(others[0])
        return f"{words}; null" if words and schema.get("default") is not None else words
    if "enum" in schema:
        values = [f'`"{value}"`' for value in schema["enum"]]
        return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) <= MOST_VALUES else ""
    kind = schema.get("type")
    if kind == "boolean":
        return "true or false"
    if kind == "string" and schema.get("pattern") == r"^/[^\u0000]*$":
        return "absolute path"
    if kind not in ("integer", "number"):
        return ""
    words = "number" if kind == "number" else "whole number"
    if "exclusiveMinimum" in schema:
        return f"{words}, more than {schema['exclusiveMinimum']}"
    most = f" to {schema['maximum']}" if "maximum" in schema else " or more"
    return f"{words}, {schema['minimum']}{most}"


def default_in_words(name: str, field: FieldInfo, told: str) -> str:
    """Return a default as it stands in a config; of a key that is unset, what is told of that."""
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none" if told in ("", "required") else told
    if name == "log_level":
        return f"`{logging.getLevelName(value)}`"
    if name.endswith("_dir"):
        return f"`{value}`"
    if isinstance(value, int) and value >= MIB:
        return f'`"{value // MIB} MiB"`'
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        f"{value:g}" if isinstance(value, float) else f"{value}" if isinstance(value, int) else f"`{json.dumps(value)}`"
    )


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
