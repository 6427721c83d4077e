"""Reads the config file as JSON: what is no JSON, and keys that stand twice in an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from async_s3_upload.config_problems import json_type, place

SCHEMA_KEY = "$schema"
"""By this key editors find the schema of a file."""


def without_schema(data: object, problems: list[str]) -> object:
    """Return the document without the name of its schema, which has no meaning here; it has to be text."""
    if not isinstance(data, dict) or SCHEMA_KEY not in data:
        return data
    if not isinstance(data[SCHEMA_KEY], str):
        problems.append(f"{SCHEMA_KEY}: must be text, not {json_type(data[SCHEMA_KEY])}")
    return {key: value for key, value in data.items() if key != SCHEMA_KEY}


def load_json(path: str) -> tuple[object, list[str]]:
    """Return the JSON object in the file (None where there is none) and what is wrong with it, as sentences."""
    doubles: list[tuple[dict[str, Any], str]] = []
    try:
        with open(path, encoding="utf-8-sig") as file:
            data = json.load(file, object_pairs_hook=_noting_doubles(doubles))
    except OSError as error:
        return None, [f"cannot be read: {error.strerror or error}"]
    except UnicodeDecodeError as error:
        return None, [f"is not UTF-8 text (byte {error.start})"]
    except json.JSONDecodeError as error:
        return None, [f"line {error.lineno}, column {error.colno}: is not valid JSON: {error.msg}"]
    except RecursionError:
        return None, ["is not a usable config: nested too deeply"]
    except ValueError as error:  # a number of thousands of digits
        return None, [f"is not a usable config: {error}"]
    if not isinstance(data, dict):
        return None, [f'must be a JSON object with keys such as "monitor", not {json_type(data)}']
    places = dict(_objects(data, ())) if doubles else {}
    return data, [
        f"{place((*places[id(within)], key))}: is given twice in the same object"
        for within, key in doubles
        if id(within) in places  # else it stands in a value that another replaced, and that one is named
    ]


def _noting_doubles(
    doubles: list[tuple[dict[str, Any], str]],
) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                doubles.append((found, key))
            found[key] = value
        return found

    return build


def _objects(value: object, loc: tuple[int | str, ...]) -> Iterator[tuple[int, tuple[int | str, ...]]]:
    """Yield id and place of each object in a JSON document."""
    inner: Iterable[tuple[int | str, object]] = ()
    if isinstance(value, dict):
        yield id(value), loc
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for step, item in inner:
        yield from _objects(item, (*loc, step))
