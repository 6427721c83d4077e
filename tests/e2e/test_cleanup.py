"""`cleanup`: uploads that nothing will go on with are listed, and aborted where asked for; all others are kept."""

import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.state.journal import encode_line
from tests.support.command import Completed, run_command
from tests.support.faults import Answer, Stall
from tests.support.proxy import Rule
from tests.support.s3requests import on

from .lab import Lab

MB = 1024 * 1024
NOW = ("--older-than", "0")


def cleanup(lab: Lab, *args: str) -> Completed:
    return run_command("cleanup", *args, "--log-dir", str(lab.log_dir), env=lab.reached.environment())


def begun(lab: Lab, bucket: str, *keys: str) -> list[str]:
    """Begin a multipart upload of each key, and return the ids."""
    client = lab.server.client()
    return [client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys]


def actions(done: Completed) -> dict[str, tuple[str, str]]:
    """Return action and reason by key."""
    assert done.json["exit_code"] == done.exit_code
    return {row["key"]: (row["action"], row["reason"]) for row in done.json["uploads"]}


def write_journal(lab: Lab, run_id: str, *events: dict[str, Any], damaged: bool = False) -> Path:
    path = lab.log_dir / "uploads" / f"{run_id}.journal.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = b"rubbish\n" if damaged else b""
    path.write_bytes(head + b"".join(encode_line(event) for event in events))
    return path


def opened(key: str, upload_id: str) -> dict[str, Any]:
    state = {"s": 20 * MB, "m": 1, "i": 1, "p": 8 * MB, "x": True}
    return {"t": "open", "n": key.rpartition("/")[2], "k": key, "u": upload_id, **state}


def killed_in_mid_file(lab: Lab, bucket: str, *args: str) -> tuple[Path, str]:
    """Kill an upload after the first parts of its big file, and return the run and the key."""
    run = lab.make_run(files={"big.bin": random.Random(3).randbytes(40 * MB)})
    proxy = lab.behind(Rule(on("UploadPart", part=4), Stall()))
    with lab.start_upload(run, bucket, "--cores", "1", "--concurrency", "2") as command:
        proxy.wait_for(lambda seen: seen.operation == "UploadPart" and seen.status == 200, times=2)
        command.signal(signal.SIGKILL, group=True)
        command.wait()
    proxy.rules.clear()
    lab.reached = lab.server
    return run, f"{run.name}/big.bin"


def in_progress(lab: Lab, bucket: str) -> Sequence[str]:
    return sorted(lab.server.uploads_in_progress(bucket))


def test_the_list_changes_nothing_and_apply_aborts_what_is_listed(lab: Lab) -> None:
    bucket = lab.bucket()
    stale = ["lab/runs/run_1/big a+b&ü.bin", "lab/runs/run_2/big.bin"]
    begun(lab, bucket, *stale, "elsewhere/big.bin", "lab/runs_of_others/big.bin")
    place = ["--bucket", bucket, "--remote_path", "/lab/runs/"]

    listed = cleanup(lab, *place, *NOW, "--json")
    as_text = cleanup(lab, *place, *NOW)
    left = in_progress(lab, bucket)
    applied = cleanup(lab, *place, *NOW, "--apply", "--json")

    assert listed.exit_code == as_text.exit_code == applied.exit_code == 0, listed.stderr
    assert actions(listed) == dict.fromkeys(stale, ("would_abort", "stale"))
    assert f"would be aborted: {bucket}:{stale[0]}, 0.0 days old, id " in as_text.stdout
    assert "nothing will go on with it" in as_text.stdout
    assert "2 multipart uploads in progress: 2 would be aborted with --apply" in as_text.stdout
    assert len(left) == 4
    assert actions(applied) == dict.fromkeys(stale, ("aborted", "stale"))
    assert in_progress(lab, bucket) == ["elsewhere/big.bin", "lab/runs_of_others/big.bin"]


def test_young_uploads_are_kept(lab: Lab) -> None:
    bucket = lab.bucket()
    begun(lab, bucket, "runs/run_1/big.bin")

    done = cleanup(lab, "--bucket", bucket, "--remote-path", "runs", "--apply", "--json")
    told = cleanup(lab, "--bucket", bucket, "--remote-path", "runs")

    assert actions(done) == {"runs/run_1/big.bin": ("kept", "young")}
    assert "it is younger than the limit" in told.stdout
    assert in_progress(lab, bucket) == ["runs/run_1/big.bin"]


def test_an_upload_that_a_journal_goes_on_with_is_kept_and_gone_on_with(lab: Lab) -> None:
    bucket = lab.bucket()
    run, key = killed_in_mid_file(lab, bucket)
    other = f"{run.name}/other.bin"
    begun(lab, bucket, other)

    told = cleanup(lab, "--bucket", bucket, "--remote-path", "/", *NOW)
    done = cleanup(lab, "--bucket", bucket, "--remote-path", "/", *NOW, "--apply", "--json")
    proxy = lab.behind()
    resumed = lab.upload(run, bucket)

    assert "a journal knows it, the next start of its run goes on" in told.stdout
    assert actions(done) == {key: ("kept", "journal"), other: ("aborted", "stale")}
    assert resumed.exit_code == 0, resumed.stderr
    assert "CreateMultipartUpload" not in {seen.operation for seen in proxy.seen}
    lab.assert_in_bucket(run, bucket, run.name)


def test_the_same_upload_without_its_journal_is_stale(lab: Lab) -> None:
    bucket = lab.bucket()
    run, key = killed_in_mid_file(lab, bucket)
    (lab.log_dir / "uploads" / f"{run.name}.journal.jsonl").unlink()

    done = cleanup(lab, "--bucket", bucket, "--remote-path", "/", *NOW, "--apply", "--json")

    assert actions(done) == {key: ("aborted", "stale")}
    assert in_progress(lab, bucket) == []


def test_an_upload_whose_id_never_reached_the_journal_is_kept_for_the_next_start(lab: Lab) -> None:
    bucket = lab.bucket()
    begun(lab, bucket, "runs/run_1/big.bin")
    write_journal(lab, "run_1", {"t": "plan", "n": "big.bin", "k": "runs/run_1/big.bin"})

    done = cleanup(lab, "--bucket", bucket, "--remote-path", "runs", *NOW, "--apply", "--json")

    assert actions(done) == {"runs/run_1/big.bin": ("kept", "journal")}


def test_a_journal_that_nobody_can_read_protects_its_whole_run(lab: Lab) -> None:
    bucket = lab.bucket()
    ids = begun(lab, bucket, "runs/run_1/big.bin", "runs/run_10/big.bin")
    journal = write_journal(lab, "run_1.0123abcd", opened("runs/run_1/big.bin", ids[0]), damaged=True)

    told = cleanup(lab, "--bucket", bucket, "--remote-path", "runs", *NOW)
    done = cleanup(lab, "--bucket", bucket, "--remote-path", "runs", *NOW, "--apply", "--json")

    assert "the journal of its run cannot be read" in told.stdout
    assert actions(done) == {
        "runs/run_1/big.bin": ("kept", "unreadable_journal"),
        "runs/run_10/big.bin": ("aborted", "stale"),
    }
    assert done.exit_code == 3
    assert str(journal) in done.json["problems"][0]


def test_at_the_root_of_a_bucket_only_remembered_runs_are_ours(lab: Lab) -> None:
    bucket = lab.bucket()
    run = lab.make_run()
    config = lab.write_config(lab.section(bucket))
    assert lab.monitor(config).exit_code == 0
    ours, foreign = f"{run.name}/big.bin", f"{run.name}_of_others/big.bin"
    begun(lab, bucket, ours, foreign, "at_the_root.bin")

    told = run_command("cleanup", "--config", str(config), *NOW, env=lab.reached.environment())
    done = run_command("cleanup", "--config", str(config), *NOW, "--apply", "--json", env=lab.reached.environment())

    assert told.stdout.count("no run log tells that it is ours") == 2
    assert actions(done) == {
        ours: ("aborted", "stale"),
        foreign: ("kept", "not_ours"),
        "at_the_root.bin": ("kept", "not_ours"),
    }
    assert in_progress(lab, bucket) == sorted([foreign, "at_the_root.bin"])


def test_what_cannot_be_aborted_is_told(lab: Lab) -> None:
    bucket = lab.bucket()
    begun(lab, bucket, "runs/run_1/a.bin", "runs/run_1/b.bin")
    lab.behind(Rule(on("AbortMultipartUpload", key_ends="a.bin"), Answer(403, "AccessDenied")))

    done = cleanup(lab, "--bucket", bucket, "--remote-path", "runs", *NOW, "--apply", "--json")

    assert done.exit_code == 3
    assert actions(done) == {"runs/run_1/a.bin": ("failed", "stale"), "runs/run_1/b.bin": ("aborted", "stale")}


def test_monitor_aborts_stale_uploads_of_its_runs_where_the_config_says_so(lab: Lab) -> None:
    bucket = lab.bucket()
    run = lab.make_run()
    ours, foreign = f"lab/{run.name}/big.bin", "lab/another_run/big.bin"
    section = lab.section(bucket, remote_path="lab")
    config = lab.write_config(section, abort_stale_uploads_days=1e-9)
    begun(lab, bucket, ours, foreign)

    dry = lab.monitor(config, "--dry-run")
    after_dry = in_progress(lab, bucket)
    done = lab.monitor(config)

    assert dry.exit_code == done.exit_code == 0, done.stderr
    assert after_dry == sorted([ours, foreign])
    assert in_progress(lab, bucket) == [foreign]
    assert "aborted 1 multipart upload" in lab.log_text


def test_trouble_with_stale_uploads_does_not_change_what_monitor_returns(lab: Lab) -> None:
    bucket = lab.bucket()
    lab.make_run()
    config = lab.write_config(lab.section(bucket), abort_stale_uploads_days=1e-9)
    lab.behind(Rule(on("ListMultipartUploads"), Answer(403, "AccessDenied")))

    done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    assert f"WARNING bucket {bucket}: multipart uploads cannot be listed" in lab.log_text


def test_a_server_that_does_not_answer_cleanup_does_not_change_what_monitor_returns(lab: Lab) -> None:
    bucket = lab.bucket()
    lab.make_run()
    config = lab.write_config(lab.section(bucket), abort_stale_uploads_days=1e-9)
    lab.behind(Rule(on("ListMultipartUploads"), Answer(400, "ExpiredToken")))

    done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    assert "multipart uploads cannot be listed" in lab.log_text


def test_without_the_key_uploads_are_left_alone(lab: Lab) -> None:
    bucket = lab.bucket()
    run = lab.make_run()
    config = lab.write_config(lab.section(bucket))
    begun(lab, bucket, f"{run.name}/big.bin")

    assert lab.monitor(config).exit_code == 0
    assert in_progress(lab, bucket) == [f"{run.name}/big.bin"]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "name where to look: either --config, or --bucket with --remote-path"),
        (["--bucket", "b"], "--bucket and --remote-path go together"),
        (["--config", "/x", "--bucket", "b", "--remote-path", "r"], "name where to look"),
        (["--config", "/no/such/file"], "cannot be read"),
        (["--bucket", "b", "--remote-path", "r", "--older-than", "-1"], "Invalid value for '--older-than'"),
        (["--bucket", "s3://b", "--remote-path", "r"], "--bucket: give the name of the bucket alone"),
    ],
)
def test_bad_input_is_one_clear_sentence(args: list[str], complaint: str) -> None:
    done = run_command("cleanup", *args)

    assert done.exit_code == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
