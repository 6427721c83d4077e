"""The kinds of values in the config file, and what may stand there."""

from __future__ import annotations

import logging
import os
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from async_s3_upload.config_problems import json_type
from async_s3_upload.config_secrets import reference_problem, resolved_webhook
from async_s3_upload.text import printable
from async_s3_upload.timetable import rate_of, window_problems


def problem(text: str) -> PydanticCustomError:
    """Return the error that pydantic reports with this text."""
    return PydanticCustomError("async_s3_upload", "{text}", {"text": text})


def _absolute(path: str) -> str:
    if "\0" in path:
        raise problem("must not contain a NUL character")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise problem("holds a character that no path can hold") from None
    if not os.path.isabs(path):
        raise problem(f'must be an absolute path, not "{path}"')
    return path


def _monitored(path: str) -> str:
    if any("**" in part for part in path.split("/")):
        raise problem(f'"{path}": each "*" stands for the folders of one level, "**" for nothing')
    return _absolute(path)


def _file_pattern(text: str) -> str:
    parts = text.split("/")
    if "\0" in text:
        raise problem("must not contain a NUL character")
    if not all(parts) or "." in parts or ".." in parts:
        raise problem(f'must be a name or pattern of files relative to the run folder, not "{text}"')
    if any("**" in part for part in parts):
        raise problem(f'"{text}": each "*" stands for names of one level, "**" for nothing')
    return text


def _serial_number(text: str) -> str:
    if not text.strip():
        raise problem("must be an instrument's serial number, not empty text")
    return text.strip()


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise problem(f'"{text}" is not a valid regular expression: {error}') from error
    except (RecursionError, OverflowError) as error:
        raise problem(f"is not a usable regular expression: {type(error).__name__}") from error


def _text_regex(value: object) -> object:
    """A pattern given as text becomes compiled; everything else is left to the type check."""
    return _regex(value) if isinstance(value, str) else value


def empty_is_none(value: object) -> object:
    """Take empty text as not given, as the replaced tool did."""
    return None if value == "" else value


def none_is_empty(value: object) -> object:
    """Take null as an empty list."""
    return [] if value is None else value


def zero_is_none(value: float | None) -> float | None:
    """Take 0 as never, like null."""
    return value or None


def _webhook(text: str, info: ValidationInfo) -> str:
    """Return the address where the context has the ``environ`` to look into, else the text as it is."""
    if found := reference_problem(text):
        raise problem(found)
    environ = (info.context or {}).get("environ")
    try:
        return text if environ is None else resolved_webhook(text, environ)
    except ValueError as error:
        raise problem(str(error)) from None


def metrics_path(path: str | None) -> str | None:
    """Return the path where node_exporter reads such a file."""
    if path is not None and not path.endswith(".prom"):
        raise problem(f'must end in .prom, node_exporter reads no other files; not "{printable(path)}"')
    return path


def level_number(value: object) -> object:
    """Return the number of a level given by name or number."""
    names = logging.getLevelNamesMapping()
    if isinstance(value, str):
        if value.strip().isdecimal():
            return int(value)
        if value.strip().upper() in names:
            return names[value.strip().upper()]
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise problem(f"must be a level's name (DEBUG, INFO, WARNING, ERROR, CRITICAL) or its number, not {value!r}")


def most_rate(value: object) -> float | None:
    """Return the bytes a second that a text stands for; None is without a limit."""
    return None if value is None else window_rate(value)


def window_rate(value: object) -> float | None:
    """Return the same where null says nothing."""
    if not isinstance(value, str):
        raise problem(f'must be text such as "400MB/s" or "unlimited", not {json_type(value)}')
    try:
        return rate_of(value)
    except ValueError as error:
        raise problem(str(error)) from error


def window_times(windows: dict[str, float | None]) -> dict[str, float | None]:
    """Return the windows where each is a time of the day and no two overlap."""
    if problems := list(window_problems(windows)):
        raise problem("; ".join(problems))
    return windows


MonitoredPath = Annotated[str, AfterValidator(_monitored)]
FilePattern = Annotated[str, AfterValidator(_file_pattern)]
SerialNumber = Annotated[str, AfterValidator(_serial_number)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Regex = Annotated[re.Pattern[str], BeforeValidator(_text_regex)]
Webhook = Annotated[Annotated[str, AfterValidator(_webhook)] | None, BeforeValidator(empty_is_none)]


def object_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags where S3 takes them (AWS, "Categorizing your storage using tags")."""
    if len(tags) > 10:
        raise problem(f"S3 takes 10 tags at most, not {len(tags)}")
    for name, value in tags.items():
        if not 1 <= len(name) <= 128 or len(value) > 256:
            raise problem(f'tag "{name}": a name has 1 to 128 characters, a value at most 256')
    return tags


def user_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata where HTTP headers can carry it."""
    for name, value in metadata.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise problem(f'"{name}" cannot be a name of metadata: letters, digits, ".", "_" and "-" can')
        if not (value.isascii() and value.isprintable()):
            raise problem(f'the value of "{name}" must be printable ASCII')
    return metadata


def account_number(text: str) -> str:
    """Return the number of an AWS account."""
    if not re.fullmatch(r"[0-9]{12}", text):
        raise problem(f'must be the 12 digits of an AWS account, not "{text}"')
    return text


_BYTES = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def byte_count(value: object) -> object:
    """Return the bytes that a text such as ``"64 MiB"`` or ``"64MB"`` says; what is no text as it is."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([kmg]i?)?(b)?\s*", value, re.IGNORECASE | re.ASCII)
    if found is None:
        raise problem(f'must be a number of bytes or a size such as "64 MiB", not "{printable(value)}"')
    return int(float(found[1]) * _BYTES[(found[2] or "").lower()])
