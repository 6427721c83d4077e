"""Webhooks that stand in a variable or a file: found, told what is wrong with them, and never shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.config import Config, read_config
from async_s3_upload.errors import ConfigError

URL = "https://hooks.slack.com/services/T0/B0/SECRET"


def write(tmp_path: Path, **keys: Any) -> str:
    path = tmp_path / "config.json"
    section = {"monitored_directories": ["/seq/1"], "bucket": "bucket-a", "remote_path": "/"}
    path.write_text(json.dumps({"monitor": [section], **keys}))
    return str(path)


def read(tmp_path: Path, environ: dict[str, str] | None = None, **keys: Any) -> Config:
    return read_config(write(tmp_path, **keys), environ if environ is not None else {})


def problems(tmp_path: Path, environ: dict[str, str] | None = None, **keys: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, environ, **keys)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "SECRET" not in shown
    return caught.value.problems


def test_a_webhook_may_stand_in_a_variable_or_a_file_and_is_no_part_of_the_config_s_text(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(f"\n{URL}\n")
    found = read(
        tmp_path, {"HOOK": f"{URL}1 "}, slack_log_webhook="env:HOOK", slack_alert_webhook=f"file:{tmp_path}/hook"
    )
    assert (found.log_webhook, found.alert_webhook) == (f"{URL}1", URL)
    assert "SECRET" not in f"{found} {found!r}"


def test_the_environment_is_that_of_the_process_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_OF_THIS_TEST", URL)
    assert read_config(write(tmp_path, slack_log_webhook="env:HOOK_OF_THIS_TEST")).log_webhook == URL


def test_who_tells_nobody_needs_neither_variable_nor_file(tmp_path: Path) -> None:
    path = write(tmp_path, slack_log_webhook="env:MISSING", slack_alert_webhook="file:/missing")
    assert read_config(path, None).log_webhook == "env:MISSING"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path, {}, slack_log_webhook="env:HOOK", slack_alert_webhook=f"file:{tmp_path}/none", max_age=-1
    ) == (
        "max_age: must be more than 0",
        "slack_log_webhook: the variable HOOK is not set",
        f"slack_alert_webhook: the file {tmp_path}/none cannot be read: No such file or directory",
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "the variable HOOK is empty"),
        (" \n", "the variable HOOK is empty"),
        (
            "hooks.slack.com/SECRET",
            "the variable HOOK must hold a web address that starts with https:// "
            "(the value is not shown: it is a secret)",
        ),
    ],
)
def test_a_variable_without_an_address_is_named_but_not_shown(tmp_path: Path, value: str, problem: str) -> None:
    assert problems(tmp_path, {"HOOK": value}, slack_log_webhook="env:HOOK") == (f"slack_log_webhook: {problem}",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"https://h/SECRET\xff", "is no UTF-8 text"),
        (
            b"https://h/SECRET\nhttps://h/SECRET",
            "must hold a web address that starts with https:// (the value is not shown: it is a secret)",
        ),
    ],
)
def test_a_file_without_an_address_is_named_but_not_shown(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "hook"
    path.write_bytes(content)
    found = problems(tmp_path, slack_alert_webhook=f"file:{path}")
    assert found == (f"slack_alert_webhook: the file {path} {problem}",)


def test_a_file_that_nobody_writes_to_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hook")
    (problem,) = problems(tmp_path, slack_alert_webhook=f"file:{tmp_path}/hook")
    assert problem.endswith("/hook is empty")


@pytest.mark.parametrize("text", ["env:", "env:https://h/SECRET", "env:A SECRET", "file:SECRET", "file:", "file:/\0"])
@pytest.mark.parametrize("looked_up", [True, False])
def test_what_names_no_variable_and_no_file_is_not_shown(tmp_path: Path, text: str, looked_up: bool) -> None:
    path = write(tmp_path, slack_log_webhook=text)
    with pytest.raises(ConfigError) as caught:
        read_config(path, {} if looked_up else None)
    (problem,) = caught.value.problems
    assert problem.startswith(f"slack_log_webhook: {text[: text.index(':')]}: must be followed by ")
    what = "env: must be followed by the name of a variable", "file: must be followed by an absolute path"
    assert problem.startswith(f"slack_log_webhook: {what[text.startswith('file:')]} ")
    assert "SECRET" not in problem


def test_a_reference_inside_a_variable_is_no_address(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"HOOK": "env:OTHER", "OTHER": URL}, slack_log_webhook="env:HOOK")
    assert problem.startswith("slack_log_webhook: the variable HOOK must hold a web address")


def test_a_metrics_file_is_one_that_node_exporter_reads(tmp_path: Path) -> None:
    assert read(tmp_path, metrics_file="/var/lib/node/s3.prom").metrics_file == "/var/lib/node/s3.prom"
    assert read(tmp_path, metrics_file=None).metrics_file is None
    assert problems(tmp_path, metrics_file="/a/s3.txt") == (
        'metrics_file: must end in .prom, node_exporter reads no other files; not "/a/s3.txt"',
    )
    assert problems(tmp_path, metrics_file="s3.prom") == ('metrics_file: must be an absolute path, not "s3.prom"',)
