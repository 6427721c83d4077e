"""The replaced tool's two ways to authenticate, the standard chain beyond them, and what is wrong with mixtures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Completed

from .lab import Env, Lab, operations

NO_KEYS: Env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
TROUBLE = ":warning:  *S3 Upload*: "


def credentials_file(lab: Lab, profile: str) -> Path:
    path = lab.folder / "credentials"
    server = lab.server
    path.write_text(
        f"[{profile}]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    return path


def assert_tells_no_secret(lab: Lab, done: Completed, *secrets: str) -> None:
    told = [done.stdout, done.stderr, *lab.slack.texts()]
    if (lab.log_dir / "s3_upload.log").exists():
        told.append(lab.log_text)
    for secret in (lab.server.secret_key, lab.slack.url_of("log"), lab.slack.url_of("alert"), *secrets):
        assert not [text for text in told if secret in text]


def own_pair(lab: Lab) -> Env:
    wrong = {"AWS_ACCESS_KEY_ID": "WRONG", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": "stray"}
    return {**wrong, "AWS_ACCESS_KEY": lab.server.access_key, "AWS_SECRET_KEY": lab.server.secret_key}


def default_profile(lab: Lab) -> Env:
    wrong = {"AWS_ACCESS_KEY_ID": "WRONG", "AWS_SECRET_ACCESS_KEY": "wrong"}
    file = str(credentials_file(lab, "sequencing"))
    return {**wrong, "AWS_SHARED_CREDENTIALS_FILE": file, "AWS_DEFAULT_PROFILE": "sequencing"}


def standard_profile(lab: Lab) -> Env:
    file = str(credentials_file(lab, "lab"))
    return {**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "lab"}


@pytest.mark.parametrize("way", [own_pair, default_profile, standard_profile])
def test_each_way_uploads_whatever_the_next_would_give(lab: Lab, way: Callable[[Lab], Env]) -> None:
    bucket, run = lab.bucket(), lab.make_run()

    done = lab.monitor(lab.write_config(lab.section(bucket)), env=way(lab))

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert_tells_no_secret(lab, done)


@pytest.mark.parametrize(
    ("mixture", "named"),
    [
        ({"AWS_DEFAULT_PROFILE": "p", "AWS_ACCESS_KEY": "K", "AWS_SECRET_KEY": "s3cr3t-value"}, "AWS_DEFAULT_PROFILE"),
        ({"AWS_ACCESS_KEY": "K"}, "AWS_SECRET_KEY"),
        ({"AWS_SECRET_KEY": "s3cr3t-value"}, "AWS_ACCESS_KEY"),
        ({**NO_KEYS}, "credentials"),
        ({**NO_KEYS, "AWS_DEFAULT_PROFILE": "nobody"}, "nobody"),
    ],
    ids=["both ways", "half a pair", "the other half", "nothing", "unknown profile"],
)
def test_unusable_credentials_are_fatal_and_alerted_and_nothing_is_sent(
    moto_lab: Lab, mixture: Env, named: str
) -> None:
    bucket = moto_lab.bucket()
    moto_lab.make_run()
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json", env=mixture)

    assert done.exit_code == done.json["exit_code"] == 1
    assert named in done.stderr
    assert operations(proxy) == []
    (text,) = moto_lab.slack.texts()
    assert text.startswith(TROUBLE)
    assert named in text
    assert [message.hook for message in moto_lab.slack.messages] == ["alert"]
    assert_tells_no_secret(moto_lab, done, "s3cr3t-value")


def test_a_wrong_secret_is_one_clear_fatal_error_that_does_not_tell_it(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    env = {**NO_KEYS, "AWS_ACCESS_KEY": lab.server.access_key, "AWS_SECRET_KEY": "not-the-s3cr3t"}

    done = lab.monitor(lab.write_config(lab.section(bucket), log_level="DEBUG"), env=env)

    assert done.exit_code == 1
    assert f"bucket {bucket}: " in done.stderr
    assert "credentials" in done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.run_log_path(run).exists()
    (text,) = lab.slack.texts("alert")
    assert text.startswith(TROUBLE)
    assert bucket in text
    assert_tells_no_secret(lab, done, "not-the-s3cr3t")


def test_endpoint_and_region_may_come_from_the_aws_config_file(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind()
    aws_config = moto_lab.folder / "aws config"
    aws_config.write_text(f"[profile far]\nregion = eu-west-2\nendpoint_url = {moto_lab.reached.endpoint}\n")
    credentials = str(credentials_file(moto_lab, "far"))
    elsewhere = {"AWS_ENDPOINT_URL": None, "AWS_REGION": None, "AWS_CONFIG_FILE": str(aws_config)}
    env = {**NO_KEYS, **elsewhere, "AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_DEFAULT_PROFILE": "far"}

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), env=env)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert all("/eu-west-2/s3/" in seen.headers["authorization"] for seen in proxy.seen)


def test_the_s3_endpoint_and_the_region_of_the_environment_are_honoured(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind()
    env = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": moto_lab.reached.endpoint,
        "AWS_REGION": "ap-southeast-2",
    }

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), env=env)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert all("/ap-southeast-2/s3/" in seen.headers["authorization"] for seen in proxy.seen)


def test_options_of_upload_come_before_the_environment(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind()
    credentials = str(credentials_file(moto_lab, "mine"))
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_SHARED_CREDENTIALS_FILE": credentials}
    options = ["--endpoint-url", moto_lab.reached.endpoint, "--profile", "mine", "--region", "eu-north-1"]

    done = moto_lab.upload(run, bucket, *options, env={**NO_KEYS, **env})

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert all("/eu-north-1/s3/" in seen.headers["authorization"] for seen in proxy.seen)
