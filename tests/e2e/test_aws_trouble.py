"""What is wrong with AWS is named per bucket, with the likely cause, before anything is sent."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.proxy import Answer, Rule, on
from tests.support.s3requests import Match

from .lab import Lab, keys_put

TROUBLE = ":warning:  *S3 Upload*: "
ASKED_FOR_A_BUCKET: Match = on("HeadBucket", "ListObjectsV2", "")


@pytest.fixture
def refusing_endpoint() -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_missing_bucket_is_named_and_nothing_goes_to_the_others(lab: Lab) -> None:
    bucket, missing = lab.bucket(), lab.bucket_name("missing")
    lab.make_run(1, sequencer="sequencer_1")
    lab.make_run(2, sequencer="sequencer_2")
    proxy = lab.behind()

    config = lab.write_config(lab.section(bucket, "sequencer_1"), lab.section(missing, "sequencer_2"))
    done = lab.monitor(config, "--json")

    assert done.exit_code == done.json["exit_code"] == 1
    assert any(f"bucket {missing}: " in line and "no such bucket" in line for line in done.stderr.splitlines())
    assert f"bucket {bucket}:" not in done.stderr
    assert keys_put(proxy) == []
    (text,) = lab.slack.texts("alert")
    assert text.startswith(TROUBLE)
    assert missing in text
    assert lab.slack.texts("log") == []


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Answer(403, "AccessDenied"), "forbidden"),
        (Answer(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"}), "region"),
    ],
    ids=["forbidden", "wrong region"],
)
def test_the_likely_cause_is_named_for_every_bucket(moto_lab: Lab, answer: Answer, cause: str) -> None:
    buckets = [moto_lab.bucket("one"), moto_lab.bucket("two")]
    moto_lab.make_run()
    proxy = moto_lab.behind(Rule(ASKED_FOR_A_BUCKET, answer))

    done = moto_lab.monitor(moto_lab.write_config(*map(moto_lab.section, buckets)))

    assert done.exit_code == 1
    for bucket in buckets:
        assert any(f"bucket {bucket}: " in line and cause in line for line in done.stderr.splitlines()), done.stderr
    assert keys_put(proxy) == []
    (text,) = moto_lab.slack.texts("alert")
    assert text.startswith(TROUBLE)
    assert all(bucket in text for bucket in buckets)


def test_listing_all_buckets_is_not_needed(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(on("ListBuckets"), Answer(403, "AccessDenied")))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    assert proxy.count(on("ListBuckets")) == 0
    moto_lab.assert_in_bucket(run, bucket, run.name)


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_no_connection_is_fatal_and_alerted_in_reasonable_time(moto_lab: Lab, refusing_endpoint: str, way: str) -> None:
    run = moto_lab.make_run()
    env = {"AWS_ENDPOINT_URL": refusing_endpoint, "SLACK_ALERT_WEBHOOK": moto_lab.slack.url_of("alert")}
    began = time.monotonic()

    if way == "monitor":
        done = moto_lab.monitor(moto_lab.write_config(moto_lab.section("my-bucket")), "--json", env=env)
    else:
        done = moto_lab.upload(run, "my-bucket", "--json", env=env)

    assert time.monotonic() - began < 30
    assert done.exit_code == done.json["exit_code"] == 1
    assert any("bucket my-bucket: " in line and "connect" in line for line in done.stderr.splitlines())
    (text,) = moto_lab.slack.texts("alert")
    assert text.startswith(TROUBLE)
    assert "my-bucket" in text
