"""What a config means, in sentences: what is watched, what is wanted, where it goes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from async_s3_upload.config import Config, MonitorSection, ObjectProperties
from async_s3_upload.text import plural
from async_s3_upload.timetable import rate_text

HIDDEN = "(set, not shown)"


def summary_lines(config: Config) -> list[str]:
    """Return the summary; secrets are not in it."""
    lines = [f"  logs and state: {config.log_dir}, level {logging.getLevelName(config.log_level)}"]
    lines.append(f"  Slack: {_slack(config)}")
    changed = ", ".join(f"{key} {_shown(value)}" for key, value in _top_changed(config).items())
    lines.append(f"  settings other than the defaults: {changed or 'none'}")
    for number, section in enumerate(config.monitor):
        lines += _section_lines(number, section, config)
    return lines


def settings(config: Config) -> dict[str, Any]:
    """Return what the config says and the defaults do not, as JSON; secrets are not in it."""
    return {**_top_changed(config), "monitor": [_section_settings(section) for section in config.monitor]}


def _slack(config: Config) -> str:
    if config.alert_webhook is None:
        return "no webhook, nobody is told (unless SLACK_ALERT_WEBHOOK is set)"
    if config.log_webhook == config.alert_webhook:
        return "successes and failures go to one webhook"
    return "successes go to one webhook, failures to another"


def _top_changed(config: Config) -> dict[str, Any]:
    return {key: value for key, value in _changed(config) if key not in ("monitor", "log_dir", "log_level")}


def _section_settings(section: MonitorSection) -> dict[str, Any]:
    required = ("monitored_directories", "bucket", "remote_path")
    return {**{key: getattr(section, key) for key in required}, **dict(_changed(section))}


def _changed(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield keys and values other than the defaults, as JSON has them."""
    for key, known in type(model).model_fields.items():
        value = getattr(model, key)
        if not known.is_required() and value != known.default:
            yield key, HIDDEN if not known.repr else _plain(key, value)


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, list):
        return [_plain(key, item) for item in value]
    if key == "max_bandwidth":
        return rate_text(value)
    if key == "bandwidth_timetable":
        return {times: rate_text(rate) for times, rate in value.items()}
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _section_lines(number: int, section: MonitorSection, config: Config) -> Iterator[str]:
    parent = section.remote_path.strip("/")
    target = f"s3://{section.bucket}/{parent}/" if parent else f"s3://{section.bucket}/"
    yield f"  monitor[{number}]: {', '.join(section.monitored_directories)} -> {target}RUN/"
    yield "    a run goes up when"
    yield from (f"      {rule}" for rule in _wanted(section, config))
    if section.exclude_patterns:
        patterns = ", ".join(f'"{pattern.pattern}"' for pattern in section.exclude_patterns)
        yield f"    files are left out whose path matches {patterns}"
    if section.upload_in_progress:
        yield f"    files go up while the run is written, once they have been still for {section.min_file_age:g} s"
    if section.manifest:
        yield "    a manifest of each run is sent too"
    chosen = config.object_properties(section)
    properties = {key: getattr(chosen, key) for key in ObjectProperties.model_fields if getattr(chosen, key)}
    if properties:
        yield f"    objects get {', '.join(f'{key} {_shown(value)}' for key, value in properties.items())}"


def _wanted(section: MonitorSection, config: Config) -> Iterator[str]:
    if section.completion_markers:
        yield f"one of these is there: {', '.join(section.completion_markers)}"
    elif section.completion == "any":
        yield "any termination file is there"
    else:
        yield "it is complete by the rule of its instrument"
    yield f"and it began in the last {config.max_age:g} hours, or a part of it is uploaded already"
    if section.instrument_ids:
        yield f"and its instrument is {' or '.join(section.instrument_ids)}"
    if section.run_regex is not None:
        yield f'and its name matches "{section.run_regex.pattern}"'
    if section.sample_regex is not None:
        which = "all samples of its sheet match" if section.sample_match == "all" else "a sample of its sheet matches"
        yield f'and {which} "{section.sample_regex.pattern}"'
    if section.upload_failed_runs:
        yield "also where the instrument says that it failed"


def counted(number: int, noun: str) -> str:
    """Return e.g. ``no run folders``, ``1 run folder``."""
    return plural(number, noun) if number else f"no {noun}s"
