"""A file that is refused does not stop the others, and is all that the next start sends."""

import pytest

from tests.support.proxy import Answer, Rule, on

from .lab import (
    MARKERS,
    RUN_FILES,
    Lab,
    failure,
    files_below,
    keys_put,
    make_old,
    operations,
    recovered,
    success,
    tree,
)

REFUSED = "RunParameters.xml"
HELD_BACK = f"({REFUSED}|{'|'.join(MARKERS)})$"


def refuse(key_ends: str = REFUSED) -> Rule:
    return Rule(on("PutObject", key_ends=key_ends), Answer(403, "AccessDenied"))


def test_one_refused_file_fails_its_run_and_the_next_start_sends_it_alone(lab: Lab) -> None:
    bucket, run, other = lab.bucket(), lab.make_run(1), lab.make_run(2)
    config = lab.write_config(lab.section(bucket))
    key = f"{run.name}/{REFUSED}"
    lab.behind(refuse(key))

    first = lab.monitor(config, "--json")

    assert first.exit_code == first.json["exit_code"] == 3
    row = next(row for row in first.json["runs"] if row["run_id"] == run.name)
    assert (row["state"], row["reason"], row["uploaded_files"]) == ("partial", "failed_files", RUN_FILES - 3)
    (failed,) = row["failed_files"]
    assert failed["path"] == str(run / REFUSED)
    assert "403" in failed["error"]
    lab.assert_in_bucket(run, bucket, run.name, without=HELD_BACK)
    lab.assert_in_bucket(other, bucket, other.name)
    log = lab.run_log(run)
    assert log["completed"] is False
    assert (log["total_local_files"], log["total_uploaded_files"]) == (RUN_FILES, RUN_FILES - 3)
    assert (log["total_failed_upload"], log["failed_upload_files"]) == (1, [str(run / REFUSED)])
    assert str(run / REFUSED) not in log["uploaded_files"]
    assert lab.slack.texts("alert") == [failure(run)]
    assert lab.slack.texts("log") == [success(other)]
    assert any(str(run / REFUSED) in line and "403" in line for line in lab.log_text.splitlines())

    proxy = lab.behind()
    second = lab.monitor(config, "--json")

    assert second.exit_code == 0, second.stderr
    assert keys_put(proxy) == [key, *(f"{run.name}/{name}" for name in MARKERS)]
    lab.assert_in_bucket(run, bucket, run.name)
    log = lab.run_log(run)
    assert (log["completed"], log["total_uploaded_files"], log["failed_upload_files"]) == (True, RUN_FILES, [])
    assert set(log["uploaded_files"]) == {str(run / name) for name in files_below(run)}
    assert lab.slack.texts("alert") == [failure(run), recovered(f"{run.name} is uploaded")]
    assert lab.slack.texts("log") == [success(other), success(run)]


def test_excludes_hold_for_the_resumed_run_too(lab: Lab) -> None:
    bucket = lab.bucket()
    run = lab.make_run(files={"Thumbnail_Images/L001/a.jpg": b"a", "Logs/b.log": b"b", "Data/keep.log.bcl": b"c"})
    config = lab.write_config(lab.section(bucket, exclude_patterns=["/Thumbnail_Images/", r"\.log$"]))
    lab.behind(refuse())

    first = lab.monitor(config)

    assert first.exit_code == 3, first.stderr
    excluded = r"/Thumbnail_Images/|\.log$"
    lab.assert_in_bucket(run, bucket, run.name, without=f"{excluded}|{HELD_BACK}")

    proxy = lab.behind()
    second = lab.monitor(config)

    assert second.exit_code == 0, second.stderr
    assert keys_put(proxy) == [f"{run.name}/{name}" for name in (REFUSED, *MARKERS)]
    lab.assert_in_bucket(run, bucket, run.name, without=excluded)
    log = lab.run_log(run)
    assert log["completed"]
    assert log["total_local_files"] == log["total_uploaded_files"] == len(log["uploaded_files"])
    assert not any("Thumbnail_Images" in path or path.endswith(".log") for path in log["uploaded_files"])


def test_a_partial_run_is_resumed_whatever_its_age_and_goes_first(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    partial, new = moto_lab.make_run(2), moto_lab.make_run(1)
    make_old(partial, hours=1000)
    moto_lab.write_old_log(partial, sorted(files_below(partial))[3:])
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    assert [(row["run_id"], row["reason"]) for row in done.json["runs"]] == [
        (partial.name, "partial"),
        (new.name, "new"),
    ]
    put = keys_put(proxy)
    assert all(key.startswith(partial.name) for key in put[:2])
    assert sum(key.startswith(partial.name) for key in put) == 3  # its marker waits for the proof, as the other's does
    assert moto_lab.slack.texts() == [success(partial, new)]


def test_the_second_start_does_nothing(lab: Lab) -> None:
    bucket, other = lab.bucket(), lab.bucket("other")
    run = lab.make_run()
    lab.sequencer("sequencer_2")
    config = lab.write_config(lab.section(bucket), lab.section(other, "sequencer_2"))
    assert lab.monitor(config).exit_code == 0
    uploads = tree(lab.log_dir / "uploads")
    proxy = lab.behind()

    done = lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert operations(proxy) == ["HeadBucket", "HeadBucket"]
    assert {seen.bucket for seen in proxy.seen} == {bucket, other}
    (row,) = done.json["runs"]
    assert (row["run_id"], row["state"], row["reason"]) == (run.name, "skipped", "already_uploaded")
    assert lab.slack.texts() == [success(run)]
    assert tree(lab.log_dir / "uploads") == uploads


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_access_denied_for_everything_is_fatal(moto_lab: Lab, way: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(Rule(on("PutObject"), Answer(403, "AccessDenied")))

    if way == "monitor":
        done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")
    else:
        done = moto_lab.upload(run, bucket, "--json", env={"SLACK_ALERT_WEBHOOK": moto_lab.slack.url_of("alert")})

    assert done.exit_code == done.json["exit_code"] == 1
    assert bucket in done.stderr
    assert "s3:PutObject" in done.stderr
    assert "failed: " not in done.stderr  # one message, not one for each file
    (text,) = moto_lab.slack.texts("alert")  # that the run failed has the same cause
    assert text.startswith(":warning:  *S3 Upload*: ")
    assert bucket in text
    assert not moto_lab.run_log(run)["completed"]
