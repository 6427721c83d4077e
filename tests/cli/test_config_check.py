"""What ``config check`` says of clocks, credentials, webhooks, log folders and rules, from values alone."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.cli.config_check import machine
from async_s3_upload.cli.config_check.findings import CheckReport, Finding
from async_s3_upload.cli.config_check.machine import check_log_dir, check_outputs
from async_s3_upload.cli.config_check.s3 import clock_finding, credentials_finding
from async_s3_upload.cli.config_check.summary import settings, summary_lines
from async_s3_upload.cli.config_check.webhooks import check_webhooks, webhook_finding
from async_s3_upload.config import read_config
from async_s3_upload.notify.reach import Reached
from async_s3_upload.transfer.stores.store_probe import BucketLook, CredentialsSeen

NOW = 1_700_000_000.0
KEY = "AKIAIOSFODNN7EXAMPLE"  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("ahead_s", "level", "text"),
    [
        (0, "ok", "agrees with S3's"),
        (1.9, "ok", "agrees with S3's"),
        (-30, "ok", "is 30.0 s behind S3's"),
        (60, "ok", "is 1m 00s ahead of S3's"),
        (61, "warning", "is 1m 01s ahead of S3's"),
        (300, "warning", "is 5m 00s ahead of S3's"),
        (-301, "problem", "is 5m 01s behind S3's"),
    ],
)
def test_a_clock_is_wrong_by_more_than_a_minute_and_a_problem_by_more_than_five(
    ahead_s: float, level: str, text: str
) -> None:
    finding = clock_finding(BucketLook(200, None, NOW), NOW + ahead_s)
    assert finding is not None
    assert (finding.level, finding.text) == (level, text)


def test_a_server_that_does_not_tell_the_time_says_nothing_of_the_clock() -> None:
    assert clock_finding(BucketLook(200, None, None), NOW) is None


@pytest.mark.parametrize(
    ("seen", "level", "text"),
    [
        (CredentialsSeen("env", KEY, False, None), "ok", "key AKIA...MPLE from AWS_ACCESS_KEY_ID"),
        (CredentialsSeen("explicit", "short", False, None), "ok", "key (not shown) from AWS_ACCESS_KEY"),
        (
            CredentialsSeen("env", KEY, True, None),
            "warning",
            "key AKIA...MPLE from AWS_ACCESS_KEY_ID, temporary, nobody knows until when",
        ),
        (
            CredentialsSeen("env", KEY, True, NOW + 3600),
            "warning",
            "key AKIA...MPLE from AWS_ACCESS_KEY_ID, good until 2023-11-14 23:13 UTC (1h 00m)",
        ),
        (
            CredentialsSeen("iam-role", KEY, True, NOW + 3600),
            "ok",
            "key AKIA...MPLE from the instance's role, good until 2023-11-14 23:13 UTC (1h 00m)",
        ),
        (CredentialsSeen("something-new", KEY, True, None), "ok", "key AKIA...MPLE from something-new"),
        (
            CredentialsSeen("sso", KEY, True, NOW - 1),
            "problem",
            "key AKIA...MPLE from SSO, expired: they were good until 2023-11-14 22:13 UTC",
        ),
    ],
)
def test_credentials_that_do_not_renew_themselves_are_a_warning_and_expired_ones_a_problem(
    seen: CredentialsSeen, level: str, text: str
) -> None:
    finding = credentials_finding(seen, NOW)
    assert (finding.level, finding.text) == (level, text)


@pytest.mark.parametrize(
    ("answer", "level", "text"),
    [
        (Reached(400), "ok", "answers (400 to an empty request; nothing was posted)"),
        (Reached(200), "ok", "answers (200 to an empty request; nothing was posted)"),
        (Reached(404), "problem", "is not valid (any more): it answered 404"),
        (Reached(410), "problem", "is not valid (any more): it answered 410"),
        (Reached(503), "warning", "answered 503 to an empty request"),
        (Reached(302), "warning", "answered 302 to an empty request"),
        (Reached(None, "no answer within 10 s"), "problem", "cannot be reached: no answer within 10 s"),
    ],
)
def test_a_webhook_is_well_where_it_refuses_an_empty_message(answer: Reached, level: str, text: str) -> None:
    finding = webhook_finding("Slack", answer)
    assert (finding.level, finding.text) == (level, text)


def log_dir_findings(path: Path) -> list[tuple[str, str, str]]:
    return [(finding.check, finding.level, finding.text) for finding in check_log_dir(str(path), NOW)]


def test_a_log_folder_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "user", lambda: "lab")
    missing = tmp_path / "a" / "b"
    assert log_dir_findings(missing) == [("log_dir", "ok", "is not there yet, user lab can make it; no round ran")]
    assert list(tmp_path.iterdir()) == []


def test_a_log_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "log"
    assert log_dir_findings(below) == [("log_dir", "problem", f"cannot be made: {tmp_path / 'file'} is no folder")]


def test_a_log_folder_in_which_a_file_stands_for_a_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "user", lambda: "lab")
    (tmp_path / "uploads").touch()
    text = f"{tmp_path / 'uploads'} cannot be written by user lab: Not a directory"
    assert log_dir_findings(tmp_path) == [("log_dir", "problem", text)]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden for root")
def test_a_log_folder_without_the_right_to_write_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ((check, level, text),) = log_dir_findings(tmp_path)
    assert (check, level) == ("log_dir", "problem")
    assert text.endswith("Permission denied")


def test_a_log_folder_with_little_room_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEAST_SPACE", 2**62)
    (first, lock) = log_dir_findings(tmp_path)
    assert first[:2] == ("log_dir", "warning")
    assert lock == ("lock", "ok", "is not there yet, nothing runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("written_s_ago", "text"),
    [(None, "no round wrote its log there yet"), (7500, "a round last wrote its log 2h 05m ago")],
)
def test_a_log_folder_says_when_a_round_last_ran(tmp_path: Path, written_s_ago: float | None, text: str) -> None:
    if written_s_ago is not None:
        (tmp_path / "s3_upload.log").touch()
        os.utime(tmp_path / "s3_upload.log", (NOW - written_s_ago, NOW - written_s_ago))
    (first, _) = log_dir_findings(tmp_path)
    assert first[1] == "ok"
    assert first[2].endswith(f" left; {text}")


SECTION: dict[str, Any] = {"monitored_directories": ["/a", "/b/*"], "bucket": "runs", "remote_path": "/nova/"}


def test_a_summary_says_what_each_rule_of_a_section_means(tmp_path: Path) -> None:
    rules = {
        "sample_regex": "^a",
        "sample_match": "any",
        "run_regex": "_A01",
        "instrument_ids": ["A01", "A02"],
        "completion_markers": ["done.txt"],
        "upload_failed_runs": True,
        "upload_in_progress": True,
        "min_file_age": 600,
        "manifest": True,
        "storage_class": "GLACIER_IR",
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"acl": "private", "monitor": [SECTION, {**SECTION, **rules}]}))
    config = read_config(str(path))

    lines = summary_lines(config)

    assert lines[:3] == [
        "  logs and state: /var/log/s3_upload, level INFO",
        "  Slack: no webhook, nobody is told (unless SLACK_ALERT_WEBHOOK is set)",
        "  settings other than the defaults: acl private",
    ]
    assert lines[3:8] == [
        "  monitor[0]: /a, /b/* -> s3://runs/nova/RUN/",
        "    a run goes up when",
        "      it is complete by the rule of its instrument",
        "      and it began in the last 72 hours, or a part of it is uploaded already",
        "    objects get acl private",
    ]
    assert lines[9:] == [
        "    a run goes up when",
        "      one of these is there: done.txt",
        "      and it began in the last 72 hours, or a part of it is uploaded already",
        "      and its instrument is A01 or A02",
        '      and its name matches "_A01"',
        '      and a sample of its sheet matches "^a"',
        "      also where the instrument says that it failed",
        "    files go up while the run is written, once they have been still for 600 s",
        "    a manifest of each run is sent too",
        "    objects get storage_class GLACIER_IR, acl private",
    ]
    assert settings(config)["monitor"][1] == {**SECTION, **rules}
    json.dumps(settings(config))


def test_a_summary_of_webhooks_shows_neither(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    hooks = {"slack_log_webhook": "https://x/s3cr3t", "slack_alert_webhook": "https://x/s3cr3t2"}
    path.write_text(json.dumps({**hooks, "monitor": [SECTION]}))
    config = read_config(str(path))
    assert "s3cr3t" not in "".join(summary_lines(config)) + json.dumps(settings(config))
    assert settings(config)["slack_log_webhook"] == "(set, not shown)"


@pytest.mark.parametrize(
    ("seen", "advice"),
    [
        (CredentialsSeen("env", KEY, True, None), "use a role, SSO or a lasting key for what runs by cron"),
        (CredentialsSeen("env", KEY, True, NOW + 60), "renew them, or use what renews itself"),
        (CredentialsSeen("sso", KEY, True, NOW - 60), "renew them"),
    ],
)
def test_credentials_that_end_come_with_what_to_do(seen: CredentialsSeen, advice: str) -> None:
    assert credentials_finding(seen, NOW).advice == advice


@pytest.mark.parametrize(
    ("method", "origin"),
    [
        ("shared-credentials-file", "the credentials file"),
        ("config-file", "the config file of AWS"),
        ("container-role", "the container's role"),
        ("assume-role", "an assumed role"),
        ("assume-role-with-web-identity", "a role assumed with a web identity"),
    ],
)
def test_where_credentials_come_from_is_said_in_words(method: str, origin: str) -> None:
    assert credentials_finding(CredentialsSeen(method, KEY, False, None), NOW).text == f"key AKIA...MPLE from {origin}"


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (Reached(404), "make a new one"),
        (Reached(503), "look whether Slack is down"),
        (Reached(None, "no answer"), "check network, proxy and the address (it is not shown)"),
    ],
)
def test_a_webhook_that_is_not_well_comes_with_what_to_do(answer: Reached, advice: str) -> None:
    assert webhook_finding("Slack", answer).advice == advice


def test_a_lock_that_cannot_be_opened_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "user", lambda: "lab")
    (tmp_path / "s3_upload.lock").mkdir()
    _, lock = check_log_dir(str(tmp_path), NOW)
    assert (lock.check, lock.level) == ("lock", "problem")
    assert lock.text == f"lock {tmp_path / 's3_upload.lock'} cannot be opened: Is a directory"
    assert lock.advice == "give it to user lab, or remove it while nothing runs"


def test_files_that_each_round_replaces_need_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "user", lambda: "lab")
    missing = tmp_path / "missing"
    outputs = {"report_html": str(tmp_path / "r.html"), "metrics_file": str(missing / "m.prom")}
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**outputs, "monitor": [SECTION]}))
    report, metrics = check_outputs(read_config(str(path)))
    assert (report.level, report.text) == ("ok", "can be replaced")
    assert metrics.as_line() == (
        f"problem  metrics_file {missing / 'm.prom'}: {missing} cannot be written by user lab: "
        "No such file or directory; make the folder, and give the user the right to it"
    )
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c.json"]


def test_a_summary_of_one_webhook_and_the_old_rule(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    section = {**SECTION, "completion": "any"}
    path.write_text(json.dumps({"slack_log_webhook": "https://x/y", "monitor": [section]}))
    lines = summary_lines(read_config(str(path)))
    assert lines[1] == "  Slack: successes and failures go to one webhook"
    assert "      any termination file is there" in lines


async def test_without_a_webhook_nobody_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"monitor": [SECTION]}))
    (finding,) = await check_webhooks(read_config(str(path)), {})
    assert finding.as_line() == (
        "ok       Slack: no webhook is set, nobody is told of anything; "
        "set slack_alert_webhook if people should be told"
    )


def test_a_report_counts_and_lists_problems() -> None:
    findings = [
        Finding("put", "problem", "s3://runs/", "nothing can be put there", "give rights"),
        Finding("clock", "warning", "clock", "is off"),
        Finding("bucket", "ok", "bucket runs", "exists and answers"),
    ]
    report = CheckReport("c.json", findings=findings, runs=[], run_lines=["runs: none was found"], exit_code=1)
    assert report.lines()[1:] == [
        "",
        "problem  s3://runs/: nothing can be put there; give rights",
        "warning  clock: is off",
        "ok       bucket runs: exists and answers",
        "",
        "runs: none was found",
        "",
        "1 problem, 1 warning",
    ]
    document = json.loads(report.as_json())
    assert document["problems"] == ["s3://runs/: nothing can be put there"]
    assert document["exit_code"] == 1
