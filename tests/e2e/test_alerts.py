"""Slack is told of trouble once, again when it has gone on for long, and once when it is over; one alert a cause."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.support.command import run_command
from tests.support.proxy import Answer, Rule, on

from .lab import HOUR, Lab, failure, recovered, success

FOLDER_TROUBLE = ":warning:  *S3 Upload*: Not everything could be looked at\n\t\t• "


def refuse(run: Path) -> Rule:
    return Rule(on("PutObject", key_ends=f"{run.name}/RunInfo.xml"), Answer(403, "AccessDenied"))


def test_a_run_that_keeps_failing_is_told_once_then_after_the_time_and_once_when_it_is_uploaded(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket), alert_repeat_hours=12)
    moto_lab.behind(refuse(run))

    for _ in range(3):
        assert moto_lab.monitor(config).exit_code == 3
    assert moto_lab.slack.texts() == [failure(run)]

    moto_lab.age_alerts(hours=11)
    assert moto_lab.monitor(config).exit_code == 3
    assert moto_lab.slack.texts() == [failure(run)]

    moto_lab.age_alerts(hours=2)
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 3
    assert moto_lab.slack.texts() == [failure(run)] * 2

    moto_lab.behind()
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 0
    assert moto_lab.slack.texts("alert") == [failure(run)] * 2 + [recovered(f"{run.name} is uploaded")]
    assert moto_lab.slack.texts("log") == [success(run)]


def test_two_causes_are_two_alerts_and_what_joins_later_is_told_alone(moto_lab: Lab) -> None:
    bucket, first, second = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    missing = moto_lab.folder / "sequencer_2"
    config = moto_lab.write_config(moto_lab.section(bucket, "sequencer_1", "sequencer_2"))
    moto_lab.behind(refuse(first))

    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 3

    trouble, failed = moto_lab.slack.texts("alert")
    assert trouble.startswith(f"{FOLDER_TROUBLE}monitored folder {missing} cannot be read: ")
    assert failed == failure(first)
    assert moto_lab.slack.texts("log") == [success(second)]

    third = moto_lab.make_run(3)
    moto_lab.behind(refuse(first), refuse(third))
    assert moto_lab.monitor(config).exit_code == 3
    assert moto_lab.slack.texts("alert")[2:] == [failure(third)]

    missing.mkdir()
    moto_lab.behind()
    assert moto_lab.monitor(config).exit_code == 0
    (text,) = moto_lab.slack.texts("alert")[3:]
    over = [f"{missing} can be looked at", f"{first.name} is uploaded", f"{third.name} is uploaded"]
    assert text in (recovered(*over), recovered(over[0], over[2], over[1]))


def test_aws_trouble_is_told_once_and_when_it_is_over(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))

    moto_lab.behind(Rule(on("HeadBucket"), Answer(403, "AccessDenied")))
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 1
    (text,) = moto_lab.slack.texts()
    assert text.startswith(":warning:  *S3 Upload*: Error in connecting to AWS!")

    moto_lab.behind(Rule(on("PutObject"), Answer(403, "AccessDenied")))
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 1
    (text,) = moto_lab.slack.texts()[1:]
    assert "s3:PutObject" in text

    moto_lab.behind()
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 0
    assert moto_lab.slack.texts("alert")[2:] == [recovered("S3 can be used")]
    assert moto_lab.slack.texts("log") == [success(run)]


def test_a_slack_that_was_down_is_told_in_the_next_round(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    moto_lab.behind(refuse(run))
    moto_lab.slack.status = 404
    assert moto_lab.monitor(config).exit_code == 3
    moto_lab.slack.status = 200
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 3
    assert [(message.text, message.answered) for message in moto_lab.slack.messages] == [
        (failure(run), 404),
        (failure(run), 200),
    ]


def test_a_stalled_run_that_goes_on_is_told(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    for marker in run.glob("*Complete.txt"):
        marker.unlink()
    then = time.time() - 3 * HOUR
    for path in (run, *run.rglob("*")):
        os.utime(path, (then, then))
    config = moto_lab.write_config(moto_lab.section(bucket), stalled_after=2)
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 0
    assert len(moto_lab.slack.texts("alert")) == 1
    (run / "new").write_bytes(b"new")
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 0
    assert moto_lab.slack.texts("alert")[1:] == [recovered(f"{run.name} goes on")]


def test_a_run_that_did_not_fail_after_all_is_told(moto_lab: Lab) -> None:
    status = "<RunCompletionStatus><RunStatus>{}</RunStatus></RunCompletionStatus>"
    failed = {"RunCompletionStatus.xml": status.format("RunErrored").encode()}
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files=failed)
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 0
    assert len(moto_lab.slack.texts("alert")) == 1
    for marker in [*run.glob("*Complete.txt"), run / "RunCompletionStatus.xml"]:
        marker.unlink()
    assert moto_lab.monitor(config).exit_code == 0
    told = f"{run.name} does not count as failed on the instrument any more"
    assert moto_lab.slack.texts("alert")[1:] == [recovered(told)]


def test_without_a_writable_log_folder_each_round_tells(moto_lab: Lab) -> None:
    (moto_lab.folder / "file").write_text("in the way")
    log_dir = str(moto_lab.folder / "file" / "log")
    config = moto_lab.write_config(moto_lab.section(moto_lab.bucket()), log_dir=log_dir)
    for _ in range(2):
        assert moto_lab.monitor(config).exit_code == 1
    texts = moto_lab.slack.texts("alert")
    assert len(texts) == 2
    assert all(text.startswith(FOLDER_TROUBLE) and log_dir in text for text in texts)


def test_who_tells_nobody_needs_no_webhook(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket), slack_alert_webhook="env:LAB_HOOK")
    assert moto_lab.monitor(config, env={"LAB_HOOK": moto_lab.slack.url}).exit_code == 0
    for command in (["verify"], ["cleanup"], ["status"], ["report", str(moto_lab.folder / "page.html")]):
        done = run_command(*command, "--config", str(config), env=moto_lab.server.environment())
        assert done.exit_code == 0, done.stderr
    assert moto_lab.slack.texts() == [success(run)]


def test_rich_messages_say_what_went_where_and_how_fast(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket, remote_path="/novaseq"), slack_style="rich")
    assert moto_lab.monitor(config).exit_code == 0
    (text,) = moto_lab.slack.texts("log")
    head, line = text.split("\n")
    assert head == ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run"
    assert line.startswith(f"\t\t• {run.name}: 16 files, ")
    assert line.endswith(f" to s3://{bucket}/novaseq/{run.name}")
    assert " s (" in line


@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_webhook_that_stands_elsewhere_is_used_and_never_shown(moto_lab: Lab, way: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    url = moto_lab.slack.url_of("elsewhere")
    (moto_lab.folder / "hook").write_text(url + "\n")
    reference = "env:LAB_HOOK" if way == "variable" else f"file:{moto_lab.folder / 'hook'}"
    config = moto_lab.write_config(
        moto_lab.section(bucket), slack_log_webhook=reference, slack_alert_webhook=None, log_level="DEBUG"
    )

    done = moto_lab.monitor(config, "--json", env={"LAB_HOOK": url})

    assert done.exit_code == 0, done.stderr
    assert moto_lab.slack.texts("elsewhere") == [success(run)]
    assert url not in done.stdout + done.stderr + moto_lab.log_text
    assert not any(url in path.read_text() for path in moto_lab.log_dir.rglob("*.json"))


def test_webhooks_that_cannot_be_had_are_told_with_all_else_before_anything_starts(moto_lab: Lab) -> None:
    config = moto_lab.write_config(
        moto_lab.section("b"), slack_log_webhook="env:LAB_HOOK", slack_alert_webhook="file:/none", max_cores=0
    )
    done = moto_lab.monitor(config, "--json", env={"LAB_HOOK": None})
    assert done.exit_code == 2
    assert "max_cores: " in done.stderr
    assert "slack_log_webhook: the variable LAB_HOOK is not set" in done.stderr
    assert "slack_alert_webhook: the file /none cannot be read: No such file or directory" in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 2
