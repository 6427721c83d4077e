"""The config file of ``monitor``: read once, checked as a whole, frozen.

The keys are those of the replaced tool ``s3_upload`` with their meaning, and a few of ours.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from async_s3_upload.errors import ConfigError
from async_s3_upload.text import printable

DEFAULT_LOG_DIR = "/var/log/s3_upload"
DEFAULT_MAX_AGE_HOURS = 72.0
DEFAULT_CONCURRENCY = 16


def _problem(text: str) -> PydanticCustomError:
    return PydanticCustomError("async_s3_upload", "{text}", {"text": text})


def _absolute(path: str) -> str:
    if "\0" in path:
        raise _problem("must not contain a NUL character")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise _problem("holds a character that no path can hold") from None
    if not os.path.isabs(path):
        raise _problem(f'must be an absolute path, not "{path}"')
    return path


def _is_utf8(text: str) -> bool:
    """JSON can write halves of characters, surrogates that stand for nothing."""
    return printable(text) == text


def check_bucket_name(name: str) -> str:
    """Return ``name`` where it can be a bucket's, else raise ValueError with the reason."""
    if not name.strip():
        raise _problem("must not be empty")
    if not _is_utf8(name):
        raise _problem("holds a character that no bucket name can hold")
    if "://" in name or "/" in name or any(c.isspace() for c in name):
        raise _problem(f'give the name of the bucket alone, without "s3://", slashes or spaces, not "{name}"')
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", name):
        raise _problem(f'a name of a bucket has letters, digits, ".", "_" and "-" only, not "{name}"')
    return name


def check_remote_path(path: str) -> str:
    """Return ``path`` where it can be the start of a key, else raise ValueError with the reason."""
    if not path:
        raise _problem('must not be empty; "/" is the root of the bucket')
    if path.startswith("s3://"):
        raise _problem('must be a path inside the bucket, without "s3://"')
    if not _is_utf8(path):
        raise _problem("holds a character that no key can hold")
    if any(part in (".", "..") for part in path.split("/")):
        raise _problem(f'must not contain "." or ".." as a folder: "{path}"')
    return path


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise _problem(f'"{text}" is not a valid regular expression: {error}') from error
    except (RecursionError, OverflowError) as error:
        raise _problem(f"is not a usable regular expression: {type(error).__name__}") from error


def _text_regex(value: object) -> object:
    """A pattern given as text becomes compiled; everything else is left to the type check."""
    return _regex(value) if isinstance(value, str) else value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _none_is_empty(value: object) -> object:
    return [] if value is None else value


def _webhook(url: str) -> str:
    # the value is a secret: it is never part of the message
    if not re.match(r"https?://[^/\s]+", url) or any(c.isspace() for c in url):
        raise _problem("must be a web address that starts with https:// (the value is not shown: it is a secret)")
    return url


def _log_level(value: object) -> object:
    names = logging.getLevelNamesMapping()
    if isinstance(value, str):
        if value.strip().isdecimal():
            return int(value)
        if value.strip().upper() in names:
            return names[value.strip().upper()]
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _problem(f"must be a level's name (DEBUG, INFO, WARNING, ERROR, CRITICAL) or its number, not {value!r}")


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Regex = Annotated[re.Pattern[str], BeforeValidator(_text_regex)]
Webhook = Annotated[Annotated[str, AfterValidator(_webhook)] | None, BeforeValidator(_empty_is_none)]


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class MonitorSection(_Frozen):
    """One entry of ``monitor``: where runs appear, which are wanted and where they go."""

    monitored_directories: Annotated[list[AbsolutePath], Field(min_length=1)]
    """Absolute paths of the folders whose immediate sub-folders are run folders."""
    bucket: Annotated[str, AfterValidator(check_bucket_name)]
    """Name of the S3 bucket."""
    remote_path: Annotated[str, AfterValidator(check_remote_path)]
    """Start of the keys; ``/`` is the root of the bucket."""
    sample_regex: Annotated[Regex | None, BeforeValidator(_empty_is_none)] = None
    """All samples of the sample sheet must match it (``re.search``), else the run is left."""
    exclude_patterns: Annotated[list[Regex], BeforeValidator(_none_is_empty)] = []
    """Files whose full path one of these matches (``re.search``) are left out."""


class Config(_Frozen):
    """The whole config file."""

    max_cores: Annotated[int, Field(ge=1)] | None = None
    """Most worker processes; unset: all cores available to this process."""
    max_threads: Annotated[int, Field(ge=1, le=1024)] = DEFAULT_CONCURRENCY
    """Requests in flight per worker process (the replaced tool's threads per core)."""
    max_age: Annotated[float, Field(gt=0, allow_inf_nan=False)] = DEFAULT_MAX_AGE_HOURS
    """Hours since the mtime of RunInfo.xml after which a new run is no longer started."""
    log_level: Annotated[int, BeforeValidator(_log_level)] = logging.INFO
    """Level of console and log file, as a name or number."""
    log_dir: AbsolutePath = DEFAULT_LOG_DIR
    """Folder of ``s3_upload.log``, the lock and ``uploads/`` (the run logs)."""
    slack_log_webhook: Annotated[Webhook, Field(repr=False)] = None
    """Told of successes; falls back on the other."""
    slack_alert_webhook: Annotated[Webhook, Field(repr=False)] = None
    """Told of failures; falls back on the other."""
    checksum: Literal["crc64nvme", "none"] = "crc64nvme"
    """Checksum sent with each object; ``none`` for servers that cannot take one."""
    monitor: Annotated[list[MonitorSection], Field(min_length=1)]
    """At least one section."""

    @property
    def log_webhook(self) -> str | None:
        """Webhook for successes, or None."""
        return self.slack_log_webhook or self.slack_alert_webhook

    @property
    def alert_webhook(self) -> str | None:
        """Webhook for failures, or None."""
        return self.slack_alert_webhook or self.slack_log_webhook


def read_config(path: str) -> Config:
    """Read and check the config file.

    Raises:
        ConfigError: with all problems of the file at once.
    """
    data, problems = _load(path)
    if data is not None:
        try:
            config = Config.model_validate(data)
        except ValidationError as error:
            problems.extend(_sentence(details) for details in error.errors(include_url=False))
        else:
            if not problems:
                return config
    raise ConfigError(path, problems)


def _load(path: str) -> tuple[object, list[str]]:
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
        return None, [f'must be a JSON object with keys such as "monitor", not {_json_type(data)}']
    places = dict(_objects(data, ())) if doubles else {}
    return data, [
        f"{_place((*places[id(within)], key))}: is given twice in the same object"
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


def _place(loc: Sequence[int | str]) -> str:
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    names = {bool: "true/false", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _unknown_key(loc: Sequence[int | str]) -> str:
    known = list((MonitorSection if loc[0] == "monitor" and len(loc) > 1 else Config).model_fields)
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
}


def _sentence(details: ErrorDetails) -> str:
    kind, loc = details["type"], details["loc"]
    context = details.get("ctx", {})
    if kind == "missing":
        text = "is missing, it is required"
    elif kind == "extra_forbidden":
        text = _unknown_key(loc)
    elif kind == "too_short":
        text = "must not be an empty list"
    elif kind in _WANTED:
        text = f"{_WANTED[kind]}, not {_json_type(details['input'])}"
    elif kind == "greater_than_equal":
        text = f"must be at least {context['ge']}"
    elif kind == "less_than_equal":
        text = f"must be at most {context['le']}"
    elif kind == "greater_than":
        text = f"must be more than {context['gt']:g}"
    elif kind == "literal_error":
        text = f"must be {context['expected']}"
    else:
        text = details["msg"]
    return f"{_place(loc)}: {text}"
