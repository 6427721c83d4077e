"""``config check --online``: one line for each thing that may be why nothing is uploaded."""

import signal
import socket
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest

from async_s3_upload.cli.config_check.machine import user
from tests.support.command import Completed, run_command, start_command
from tests.support.faults import Answer, Hold, Rule
from tests.support.s3requests import Match, Request, on
from tests.support.slack import refused_url

from .lab import Env, Lab, make_old, operations

PROBE = ".async-s3-upload-probe-"
Findings = dict[tuple[str, str], dict[str, str]]


def check(lab: Lab, config: Path, *args: str, env: Env | None = None) -> Completed:
    variables = {**lab.reached.environment(), **(env or {})}
    given = {name: value for name, value in variables.items() if value is not None}
    return run_command("config", "check", str(config), *args, env=given, timeout=90)


def found(done: Completed, check_name: str) -> dict[str, str]:
    """The one finding of that name."""
    (row,) = [row for row in done.json["checks"] if row["check"] == check_name]
    assert isinstance(row, dict)
    return row


def not_ok(done: Completed) -> list[str]:
    return [row["check"] for row in done.json["checks"] if row["level"] != "ok"]


def denied(operation: str, code: str = "AccessDenied", status: int = 403) -> Rule:
    return Rule(on(operation), Answer(status, code))


def with_header(operation: str, name: str) -> Match:
    def match(request: Request) -> bool:
        return request.operation == operation and name in request.headers

    return match


def test_where_all_is_well_each_line_says_ok_and_nothing_stays_behind(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    config = lab.write_config(lab.section(bucket, remote_path="/nova", manifest=True), max_cores=1)

    done = check(lab, config, "--online")

    assert done.exit_code == 0, done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"{config}: the config is valid"
    assert lines[-1] == "nothing is wrong"
    destination = f"s3://{bucket}/nova/"
    key = lab.server.access_key
    assert [line for line in lines if line.startswith("ok ")] == [
        f"ok       log_dir {lab.log_dir}: is not there yet, user {user()} can make it; no round ran",
        f"ok       monitor[0] {lab.sequencer()}: can be read: 1 run folder, 0 other sub-folders",
        f"ok       credentials: key {key[:4]}...{key[-4:]} from AWS_ACCESS_KEY_ID",
        f"ok       endpoint: {lab.server.endpoint}, region us-east-1",
        "ok       clock: agrees with S3's",
        f"ok       bucket {bucket}: exists and answers",
        f"ok       bucket {bucket}: the server does not tell its region; us-east-1 is used",
        f"ok       {destination}: can be listed",
        f"ok       {destination}: uploads in progress can be listed",
        f"ok       {destination}: objects can be put",
        f"ok       {destination}: objects can be looked at",
        f"ok       {destination}: takes and keeps a CRC64NVME of each object",
        f"ok       {destination}: the probe object was removed again",
        f"ok       {destination}: multipart uploads can be begun",
        f"ok       {destination}: parts can be listed",
        f"ok       {destination}: multipart uploads can be aborted",
        "ok       Slack webhook for successes: answers (400 to an empty request; nothing was posted)",
        "ok       Slack webhook for failures: answers (400 to an empty request; nothing was posted)",
    ]
    assert f"  would go up: {run} (new: complete by CopyComplete.txt) -> {destination}{run.name}/" in lines
    assert lab.server.objects(bucket) == {}
    assert lab.server.uploads_in_progress(bucket) == []
    assert lab.slack.messages == []
    assert lab.slack.malformed == [b"", b""]
    assert not lab.log_dir.exists()
    for secret in (lab.server.secret_key, lab.slack.url_of("log"), lab.slack.url_of("alert")):
        assert secret not in done.stdout + done.stderr


def test_without_online_nothing_is_asked(moto_lab: Lab) -> None:
    proxy = moto_lab.behind()
    section = moto_lab.section("runs", sample_regex="_a_", tags={"lab": "x"}, exclude_patterns=["Thumb"])
    config = moto_lab.write_config(section, max_bandwidth="50MB/s")

    done = check(moto_lab, config)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{config}: the config is valid",
        f"  logs and state: {moto_lab.log_dir}, level INFO",
        "  Slack: successes go to one webhook, failures to another",
        "  settings other than the defaults: max_cores 2, max_threads 8, slack_log_webhook (set, not shown), "
        "slack_alert_webhook (set, not shown), max_bandwidth 50 MB/s",
        f"  monitor[0]: {moto_lab.folder / 'sequencer_1'} -> s3://runs/RUN/",
        "    a run goes up when",
        "      it is complete by the rule of its instrument",
        "      and it began in the last 72 hours, or a part of it is uploaded already",
        '      and all samples of its sheet match "_a_"',
        '    files are left out whose path matches "Thumb"',
        "    objects get tags lab=x",
        "",
        "Give --online to see whether folders, S3 and Slack can be reached with it.",
    ]
    assert operations(proxy) == []
    assert moto_lab.slack.malformed == []


def test_a_config_with_mistakes_tells_them_all_and_ends_with_2(moto_lab: Lab) -> None:
    config = moto_lab.write_config(moto_lab.section("s3://runs"), max_age=-1)

    done = check(moto_lab, config, "--online", "--json")

    assert done.exit_code == done.json["exit_code"] == 2
    assert "max_age: must be more than 0" in done.stderr
    assert "monitor[0].bucket: give the name of the bucket alone" in done.stderr
    assert moto_lab.slack.malformed == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "advice"),
    [
        (
            denied("PutObject"),
            "put",
            "nothing can be put there: S3 answered 403 AccessDenied: Answered by the fault proxy",
            "give s3:PutObject on the bucket's objects, s3:PutObjectTagging",
        ),
        (
            Rule(with_header("PutObject", "x-amz-checksum-crc64nvme"), Answer(400, "InvalidArgument")),
            "checksum",
            "does not take a CRC64NVME: S3 answered 400 InvalidArgument: Answered by the fault proxy",
            'set "checksum": "none"',
        ),
        (
            denied("CreateMultipartUpload"),
            "multipart",
            "no multipart upload can be begun: S3 answered 403 AccessDenied: Answered by the fault proxy",
            "give s3:PutObject on the bucket's objects, s3:PutObjectTagging",
        ),
        (
            Rule(with_header("HeadBucket", "x-amz-expected-bucket-owner"), Answer(403)),
            "owner",
            "does not belong to account 123456789012 (S3 answered 403)",
            "correct expected_bucket_owner, or the name of the bucket",
        ),
        (
            Rule(on("ListObjectsV2"), Answer(403, "AccessDenied")),
            "list",
            "cannot be listed: S3 answered 403 AccessDenied: Answered by the fault proxy",
            "give s3:ListBucket on the bucket",
        ),
        (
            Rule(on("HeadBucket"), Answer(403, headers={"Date": formatdate(time() - 48 * 3600, usegmt=True)})),
            "clock",
            "is 48h 00m ahead of S3's",
            "S3 refuses requests at 15 minutes; set the clock, use NTP",
        ),
    ],
    ids=["put", "checksum", "multipart", "owner", "list", "clock"],
)
def test_what_keeps_runs_from_going_up_is_a_problem_with_what_to_do(
    moto_lab: Lab, rule: Rule, name: str, text: str, advice: str
) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(rule)
    section = moto_lab.section(bucket, tags={"a": "b"}, expected_bucket_owner="123456789012")

    done = check(moto_lab, moto_lab.write_config(section), "--online", "--json")

    assert done.exit_code == done.json["exit_code"] == 1, done.stdout
    problem = found(done, name)
    assert problem["level"] == "problem"
    if name == "clock":  # minutes may lie between making this test and running it
        assert problem["text"].startswith("is 48h ")
        assert problem["text"].endswith(" ahead of S3's")
    else:
        assert problem["text"] == text
    assert problem["advice"] == advice
    assert moto_lab.server.objects(bucket) == {}
    assert moto_lab.server.uploads_in_progress(bucket) == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "advice"),
    [
        (
            denied("ListMultipartUploads"),
            "list_uploads",
            "uploads in progress cannot be listed, and parts that are lost stay and cost: "
            "S3 answered 403 AccessDenied: Answered by the fault proxy",
            "give s3:ListBucketMultipartUploads on the bucket",
        ),
        (
            denied("ListParts"),
            "list_parts",
            "parts cannot be listed, a big file that was cut short begins anew: "
            "S3 answered 403 AccessDenied: Answered by the fault proxy",
            "give s3:ListMultipartUploadParts on the bucket's objects",
        ),
        (
            Rule(on("HeadObject"), Answer(403)),
            "get",
            "objects cannot be looked at, which `verify --deep` and `verify --manifest` need: "
            "S3 answered 403: Forbidden",
            "give s3:GetObject on the bucket's objects",
        ),
        (
            Rule(on("HeadBucket"), Answer(200, headers={"x-amz-bucket-region": "eu-west-1"})),
            "region",
            "lies in eu-west-1, the region in use is us-east-1",
            "set AWS_REGION=eu-west-1",
        ),
    ],
    ids=["list_uploads", "list_parts", "get", "region"],
)
def test_what_only_some_features_need_is_a_warning_and_exit_code_0(
    moto_lab: Lab, rule: Rule, name: str, text: str, advice: str
) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(rule)

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json")

    assert done.exit_code == done.json["exit_code"] == 0, done.stdout
    assert found(done, name)["level"] == "warning"
    assert found(done, name)["text"] == text
    assert found(done, name)["advice"] == advice
    if name != "get":  # moto keeps no sums
        assert found(done, "checksum")["text"] == "takes a CRC64NVME and does not keep it"
        assert found(done, "checksum")["advice"] == "nothing to do: `verify --deep` compares ETags there"
    assert moto_lab.server.objects(bucket) == {}


def test_a_probe_that_may_not_be_deleted_is_named(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(denied("DeleteObject"))

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket, remote_path="/a")), "--online", "--json")

    (key,) = moto_lab.server.objects(bucket)
    assert key.startswith(f"a/{PROBE}")
    assert done.exit_code == 0
    assert found(done, "delete")["level"] == "warning"
    assert found(done, "delete")["text"] == f"the probe object stays, this user may not delete: s3://{bucket}/{key}"
    assert found(done, "delete")["advice"] == "remove it; uploads never delete and need no right for it"


def test_an_upload_that_cannot_be_aborted_is_a_problem_and_named(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(denied("AbortMultipartUpload"))

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json")

    (key,) = moto_lab.server.uploads_in_progress(bucket)
    assert done.exit_code == 1
    assert found(done, "abort")["text"] == (
        f"multipart uploads cannot be aborted, this one stays: s3://{bucket}/{key}: "
        "S3 answered 403 AccessDenied: Answered by the fault proxy"
    )
    assert found(done, "abort")["advice"] == "give s3:AbortMultipartUpload on the bucket's objects"


def test_an_object_that_vanishes_is_a_problem(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(Rule(on("HeadObject"), Answer(404)))
    section = moto_lab.section(bucket, expected_bucket_owner="123456789012")

    done = check(moto_lab, moto_lab.write_config(section), "--online", "--json")

    assert done.exit_code == 1
    assert found(done, "get")["text"] == "the object that was put is not there, or another one"
    assert found(done, "owner")["text"] == "belongs to account 123456789012"  # moto's


def test_a_key_that_may_not_be_used_names_the_rights_on_it(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(denied("PutObject"))
    section = moto_lab.section(bucket, server_side_encryption="aws:kms", acl="private")

    done = check(moto_lab, moto_lab.write_config(section), "--online", "--json")

    assert found(done, "put")["advice"] == (
        "give s3:PutObject on the bucket's objects, s3:PutObjectAcl, kms:GenerateDataKey and kms:Decrypt on the key"
    )


def test_a_run_log_that_is_torn_is_a_warning(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    path = moto_lab.run_log_path(run)
    path.parent.mkdir(parents=True)
    path.write_text("{")

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json")

    (torn,) = [row for row in done.json["checks"] if row["check"] == "log_dir" and row["level"] == "warning"]
    assert str(path) in torn["text"]
    assert torn["advice"] == "its run goes up from the start"


def test_the_version_that_stays_of_the_probe_is_named(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    enabled = {"Status": "Enabled"}
    moto_lab.server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json")

    text = "the probe object was removed again; the bucket keeps versions, "
    assert found(done, "delete")["text"].startswith(text)
    assert moto_lab.server.objects(bucket) == {}


@pytest.mark.parametrize(
    ("env", "text"),
    [
        (
            {"AWS_ACCESS_KEY": "K"},
            "AWS_ACCESS_KEY is set, but AWS_SECRET_KEY is not: set both or neither",
        ),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "no usable AWS credentials: Unable to locate credentials; check the credentials",
        ),
    ],
    ids=["half a pair", "none"],
)
def test_credentials_that_cannot_be_used_are_a_problem(moto_lab: Lab, env: Env, text: str) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json", env=env)

    assert done.exit_code == 1
    assert found(done, "credentials")["text"] == text
    assert not_ok(done) == ["credentials"]
    if env.get("AWS_ACCESS_KEY") is None:
        where = "set them where the command runs: cron and systemd have an environment of their own"
        assert found(done, "credentials")["advice"] == where


@pytest.mark.parametrize(
    ("left_s", "level", "exit_code", "text"),
    [(7260, "warning", 0, "UTC (2h "), (-60, "problem", 1, "expired")],
)
def test_keys_of_the_environment_that_end_are_named_with_their_end(
    moto_lab: Lab, left_s: float, level: str, exit_code: int, text: str
) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    end = datetime.fromtimestamp(time() + left_s, UTC).isoformat()
    env = {"AWS_SESSION_TOKEN": "t0ken-value", "AWS_CREDENTIAL_EXPIRATION": end}

    done = check(moto_lab, moto_lab.write_config(moto_lab.section(bucket)), "--online", "--json", env=env)

    assert done.exit_code == exit_code, done.stderr
    assert found(done, "credentials")["level"] == level
    assert text in found(done, "credentials")["text"]
    assert "t0ken-value" not in done.stdout + done.stderr


def test_a_bucket_that_is_not_there_leaves_the_others_checked(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    sections = moto_lab.section("not-there"), moto_lab.section(bucket)

    done = check(moto_lab, moto_lab.write_config(*sections), "--online", "--json")

    assert done.exit_code == 1
    texts = {row["subject"]: row["text"] for row in done.json["checks"] if row["check"] == "bucket"}
    assert texts["bucket not-there"] == "there is no such bucket; check its name and the account"
    assert texts[f"bucket {bucket}"] == "exists and answers"
    assert found(done, "put")["level"] == "ok"


def test_webhooks_that_do_not_answer_or_are_gone_are_problems_and_never_shown(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    gone = moto_lab.slack.url_of("log") + "x"
    with refused_url() as refused:
        hooks = {"slack_log_webhook": gone, "slack_alert_webhook": refused}
        config = moto_lab.write_config(moto_lab.section(bucket), **hooks)
        done = check(moto_lab, config, "--online", "--json")

    assert done.exit_code == 1
    texts = {row["subject"]: row["text"] for row in done.json["checks"] if row["check"] == "webhook"}
    assert texts == {
        "Slack webhook for successes": "is not valid (any more): it answered 404",
        "Slack webhook for failures": "cannot be reached: ClientConnectorError",
    }
    assert gone not in done.stdout + done.stderr
    assert refused not in done.stdout + done.stderr


def test_folders_that_cannot_be_used_are_problems(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.sequencer("empty")
    moto_lab.log_dir.write_text("a file where the folder should be")
    section = moto_lab.section(bucket, "sequencer_1", "missing", "empty")

    done = check(moto_lab, moto_lab.write_config(section), "--online", "--json")

    assert done.exit_code == 1
    told = {row["subject"]: (row["level"], row["text"]) for row in done.json["checks"] if row["check"] == "folder"}
    missing = moto_lab.folder / "missing"
    assert told[f"monitor[0] {missing}"] == (
        "problem",
        f"monitored folder {missing} cannot be read: No such file or directory; "
        "check that it exists, is mounted and that this user may list it",
    )
    assert told[f"monitor[0] {moto_lab.folder / 'empty'}"][0] == "warning"
    assert told[f"monitor[0] {moto_lab.folder / 'sequencer_1'}"][0] == "ok"
    assert found(done, "log_dir")["text"] == "is no folder"
    assert moto_lab.log_dir.is_file()
    assert told[f"monitor[0] {moto_lab.folder / 'empty'}"][1] == (
        "can be read, and has no run folders, 0 other sub-folders"
    )
    read = check(moto_lab, moto_lab.folder / "config.json", "--online").stdout
    assert "check that this is the folder right above the run folders, and that it is mounted" in read
    assert "runs: nobody knows what is uploaded already: " in read


def test_each_run_is_named_with_why_it_goes_up_or_not(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    new, foreign, running, old = (moto_lab.make_run(number, samples=[f"s{number}"]) for number in (1, 2, 3, 4))
    (running / "CopyComplete.txt").unlink()
    make_old(old, 100)
    config = moto_lab.write_config(moto_lab.section(bucket, sample_regex="s[134]"))

    done = check(moto_lab, config, "--online")

    lines = done.stdout.splitlines()
    at = lines.index("runs: 1 run would go up, 3 runs would not")
    assert lines[at + 1 : at + 6] == [
        f"  would go up: {new} (new: complete by CopyComplete.txt) -> s3://{bucket}/{new.name}/",
        f'  left: {foreign} (samples do not match: sample "s2" does not match sample_regex "s[134]")',
        f"  left: {running} (not complete: RTAComplete.txt is there, but CopyComplete.txt is not there yet; "
        "NovaSeq 6000: CopyComplete.txt ends a run)",
        "  left: 1 run, too old",
        "  (`monitor --dry-run` names every run, and what would be sent of it)",
    ]


def test_a_signal_in_the_middle_removes_what_was_put(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    held = Hold()
    proxy = moto_lab.behind(Rule(on("HeadObject"), held))
    config = moto_lab.write_config(moto_lab.section(bucket))
    with start_command("config", "check", str(config), "--online", env=moto_lab.reached.environment()) as command:
        proxy.wait_for(on("HeadObject"))
        assert len(moto_lab.server.objects(bucket)) == 1
        command.signal(signal.SIGTERM)
        done = command.wait(60)
    held.release()

    assert done.exit_code == 143
    assert done.stdout.splitlines()[-1].startswith("not everything was checked: stopped by signal 15")
    assert moto_lab.server.objects(bucket) == {}


def test_the_lock_of_an_upload_that_runs_is_no_trouble(moto_lab: Lab) -> None:
    bucket, _ = moto_lab.bucket(), moto_lab.make_run()
    held = Hold()
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends="RunInfo.xml"), held))
    config = moto_lab.write_config(moto_lab.section(bucket))
    with moto_lab.start_monitor(config) as monitor:
        proxy.wait_for(on("PutObject", key_ends="RunInfo.xml"))
        done = check(moto_lab, config, "--online", "--json")
        held.release()
        assert monitor.wait().exit_code == 0

    assert done.exit_code == 0, done.stdout
    holder = f"process {monitor.pid} on host {socket.gethostname()}"
    text = f"is held: an upload runs at the moment ({holder}), others wait for its end"
    assert found(done, "lock")["text"] == text
    after: Any = check(moto_lab, config, "--online", "--json")
    assert found(after, "lock")["text"] == "is free, nothing runs"
    assert found(after, "log_dir")["text"].startswith(f"can be written by user {user()}, ")
    assert "; a round last wrote its log " in found(after, "log_dir")["text"]
