"""A Slack that is down, slow or broken is logged and never changes the result; its address stays secret."""

import time

import pytest

from tests.support.proxy import Answer, Rule, on
from tests.support.slack import refused_url

from .lab import Lab, failure, success


def test_a_slack_that_is_down_changes_nothing(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    with refused_url() as url:
        config = lab.write_config(lab.section(bucket), slack_log_webhook=url, slack_alert_webhook=url)

        done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["completed"]
    assert any("ERROR" in line and "Slack" in line for line in lab.log_text.splitlines())
    assert url not in done.stderr + lab.log_text


def test_a_slack_that_is_down_hides_no_failure(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.slack.status = 500
    moto_lab.behind(Rule(on("PutObject", key_ends="RunInfo.xml"), Answer(403, "AccessDenied")))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 3, done.stderr
    assert len(moto_lab.slack.texts("alert")) > 1
    assert set(moto_lab.slack.texts("alert")) == {failure(run)}
    assert "Slack" in moto_lab.log_text
    assert moto_lab.slack.url_of("alert") not in done.stderr + moto_lab.log_text


def test_a_slack_that_does_not_answer_holds_the_command_for_15_seconds_at_most(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.slack.hang_seconds = 60

    with moto_lab.start_monitor(moto_lab.write_config(moto_lab.section(bucket))) as command:
        moto_lab.slack.wait_for(1)
        began = time.monotonic()
        done = command.wait(30)

    assert time.monotonic() - began < 15 + 3
    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert "Slack" in done.stderr


def test_one_bad_answer_is_tried_again(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.slack.status = [503, 200]

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    assert [message.answered for message in moto_lab.slack.messages] == [503, 200]
    assert set(moto_lab.slack.texts("log")) == {success(run)}
    assert moto_lab.slack.messages[-1].payload == {"text": success(run)}


@pytest.mark.parametrize(("there", "none"), [("slack_log_webhook", ""), ("slack_alert_webhook", None)])
def test_each_webhook_falls_back_on_the_other(moto_lab: Lab, there: str, none: str | None) -> None:
    bucket = moto_lab.bucket()
    refused, run = moto_lab.make_run(1), moto_lab.make_run(2)
    moto_lab.behind(Rule(on("PutObject", key_ends=f"{refused.name}/RunInfo.xml"), Answer(403, "AccessDenied")))
    webhooks: dict[str, str | None] = {"slack_log_webhook": none, "slack_alert_webhook": none}
    webhooks[there] = moto_lab.slack.url_of("only")

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), **webhooks))

    assert done.exit_code == 3, done.stderr
    assert sorted(moto_lab.slack.texts("only")) == sorted([success(run), failure(refused)])
