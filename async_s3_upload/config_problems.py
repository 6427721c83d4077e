"""Words for what is wrong in the config file: one sentence for each problem, with its place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence

from pydantic_core import ErrorDetails

from async_s3_upload.text import one_line, printable

Known = Callable[[Sequence[int | str]], Collection[str]]
"""Gives the keys that are known at the place of an unknown one."""


def place(loc: Sequence[int | str]) -> str:
    """Return where a value stands, on one line whatever the keys hold: ``monitor[1].bucket``."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = one_line(printable(step))
            text += f".{name}" if text else name
    return text


def json_type(value: object) -> str:
    """Return what a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    names = {bool: "true/false", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _unknown_key(loc: Sequence[int | str], known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return "unknown key" + (f'; did you mean "{close[0]}"?' if close else f"; known are: {', '.join(known)}")


_WANTED = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "pattern_type": "must be a regular expression as text",
    "dict_type": "must be an object",
    "bool_type": "must be true or false",
}


def sentence(details: ErrorDetails, known: Known) -> str:
    """Return ``place: what is wrong`` for one of pydantic's errors."""
    kind, loc = details["type"], details["loc"]
    context = details.get("ctx", {})
    if kind == "missing":
        text = "is missing, it is required"
    elif kind == "extra_forbidden":
        text = _unknown_key(loc, known(loc))
    elif kind == "too_short":
        text = "must not be an empty list"
    elif kind in _WANTED:
        text = f"{_WANTED[kind]}, not {json_type(details['input'])}"
    elif kind == "greater_than_equal":
        least = context["ge"]
        text = f"must be at least {f'{least:g}' if isinstance(least, float) else least}"
    elif kind == "less_than_equal":
        text = f"must be at most {context['le']}"
    elif kind == "greater_than":
        text = f"must be more than {context['gt']:g}"
    elif kind == "literal_error":
        text = f"must be {context['expected']}"
    elif kind == "value_error":
        text = str(context["error"])
    else:
        text = details["msg"]
    return f"{place(loc)}: {text}"
