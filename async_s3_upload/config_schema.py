"""The JSON Schema of the config file, made from its models, for editors and for who checks files elsewhere.

It lets through all that ``read_config`` takes. What JSON Schema has no words for is refused by ``read_config`` alone:
regular expressions that do not compile, windows of time that overlap, keys that need others.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from async_s3_upload.config import Config

_RATE = r"^\s*([0-9]+(\.[0-9]+)?\s*([kKMGT]i?)?(B|bit)(/s)?|[uU][nN][lL][iI][mM][iI][tT][eE][dD])\s*$"
_TIME = "([01]?[0-9]|2[0-3]):[0-5][0-9]"
_NO_DOTS = r"(?!\.{1,2}(/|$))"

_INSTEAD: dict[str, JsonSchemaValue] = {
    "byte_count": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*[0-9]{1,15}(\.[0-9]{1,6})?\s*([kKmMgG][iI]?)?[bB]?\s*$"},
        ]
    },
    "level_number": {
        "anyOf": [
            {"enum": ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]},
            {"type": "integer", "minimum": 0},
            {
                "type": "string",
                "pattern": r"^\s*([0-9]+|[dD][eE][bB][uU][gG]|[iI][nN][fF][oO]|[wW][aA][rR][nN]([iI][nN][gG])?"
                r"|[eE][rR][rR][oO][rR]|[cC][rR][iI][tT][iI][cC][aA][lL]|[fF][aA][tT][aA][lL]"
                r"|[nN][oO][tT][sS][eE][tT])\s*$",
            },
        ]
    },
    "most_rate": {"anyOf": [{"type": "string", "pattern": _RATE}, {"type": "null"}]},
    "window_rate": {"type": "string", "pattern": _RATE},
    "text_regex": {"type": "string"},
}
"""What may stand there where a validator reads the value before its type is looked at; by the validator's name."""

_BESIDE: dict[str, JsonSchemaValue] = {
    "none_is_empty": {"null": True},
    "empty_is_none": {},
    "zero_is_none": {},
    "absolute": {"pattern": r"^/[^\u0000]*$"},
    "monitored": {"pattern": r"^(?![\s\S]*\*\*)/[^\u0000]*$"},
    "file_pattern": {"pattern": rf"^(?![\s\S]*\*\*){_NO_DOTS}[^/\u0000]+(/{_NO_DOTS}[^/\u0000]+)*$"},
    "serial_number": {"pattern": r"\S"},
    "webhook": {"pattern": r"^(https?://[^/\s]\S*|env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\u0000]+)?$"},
    "metrics_path": {"pattern": r"\.prom$"},
    "account_number": {"pattern": "^[0-9]{12}$"},
    "object_tags": {
        "maxProperties": 10,
        "propertyNames": {"minLength": 1, "maxLength": 128},
        "additionalProperties": {"type": "string", "maxLength": 256},
    },
    "user_metadata": {
        "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "additionalProperties": {"type": "string", "pattern": "^[ -~]*$"},
    },
    "window_times": {"propertyNames": {"pattern": rf"^\s*{_TIME}\s*-\s*({_TIME}|24:00)\s*$"}},
    "check_bucket_name": {"pattern": "^[A-Za-z0-9._-]{1,255}$"},
    "check_scheduler": {"pattern": r"^((tcp|tls)://[^\s/?#@]+:[0-9]{1,5}|[/~][^\u0000]*)$"},
    "check_remote_path": {"pattern": r"^(?!s3://)(?!([\s\S]*/)?\.{1,2}(/|$))[\s\S]+$"},
}
"""What a validator asks for beside the type; ``null`` where it takes that too."""


class _Schema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles out: they say what the key says."""
        return False

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Say what the function takes."""
        return self._with_validator(schema)

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        """Say what the function asks for."""
        return self._with_validator(schema)

    def _with_validator(
        self, schema: core_schema.BeforeValidatorFunctionSchema | core_schema.AfterValidatorFunctionSchema
    ) -> JsonSchemaValue:
        function = schema["function"]["function"]
        if isinstance(function, partial):  # pydantic's own, for a limit that stands beside
            return self.generate_inner(schema["schema"])
        name = function.__name__.lstrip("_")
        if name in _INSTEAD:
            return dict(_INSTEAD[name])
        inner = self.generate_inner(schema["schema"])
        asked = dict(_BESIDE[name])  # a validator that is not here has no words yet: add them
        if asked.pop("null", False):
            return {"anyOf": [inner | asked, {"type": "null"}]}
        return inner | asked


def config_schema() -> dict[str, Any]:
    """Return the schema of the config file (draft 2020-12)."""
    schema = Config.model_json_schema(schema_generator=_Schema)
    # editors look for it in the file; read_config passes over it
    own = {"$schema": {"type": "string", "description": "Address of this schema, for editors; it has no meaning here."}}
    head = {"$schema": _Schema.schema_dialect, "title": "Config of async-s3-upload"}
    made: dict[str, Any] = _plain(head | schema | {"title": head["title"], "properties": own | schema["properties"]})
    return made


def schema_text() -> str:
    """Return the schema as it is printed and published."""
    return json.dumps(config_schema(), indent=2) + "\n"


def _plain(value: Any) -> Any:
    """Return the schema in words of JSON Schema alone, its descriptions on one line and without marks of docstrings."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    plain: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "description" and isinstance(inner, str):
            plain[key] = " ".join(inner.replace("``", "`").split())
        elif key == "ge" and isinstance(inner, int):  # pydantic's word, where a validator comes before the limit
            plain["minimum"] = inner
        else:
            plain[key] = _plain(inner)
    return plain
