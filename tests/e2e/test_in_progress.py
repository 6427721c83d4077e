"""Files of a run go up while the instrument writes it; when it is complete only the rest does, its markers last."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run_command
from tests.support.proxy import Answer, Delay, FaultProxy, Rule, on

from .lab import HOUR, MARKERS, RUN_FILES, Env, Lab, files_below, keys_put, operations, run_id, success, write_files

EVER_CHANGING = {"RunParameters.xml", "SampleSheet.csv"}
NO_ENV: Env = {}


def write_running(lab: Lab, number: int = 1, *, age_s: float = 400, **keys: Any) -> Path:
    """Make a run that lacks its markers, all files still for so long."""
    run = lab.make_run(number, **keys)
    for marker in MARKERS:
        (run / marker).unlink()
    let_rest(run, age_s)
    return run


def let_rest(run: Path, age_s: float) -> None:
    then = time.time() - age_s
    for path in run.rglob("*"):
        os.utime(path, (then, then))


def complete(run: Path) -> None:
    for marker in MARKERS:
        (run / marker).write_bytes(b"")


def names_put(proxy: FaultProxy, run: Path) -> list[str]:
    return [key.removeprefix(f"{run.name}/") for key in keys_put(proxy) if key.startswith(f"{run.name}/")]


def test_what_is_still_goes_up_during_the_run_and_the_rest_when_it_is_complete(lab: Lab) -> None:
    bucket, run = lab.bucket(), write_running(lab)
    write_files(run, {"InterOp/EventMetricsOut.bin": b"grows", "Data/fresh.cbcl": b"being written"})
    fifty_minutes_ago = time.time() - 3000
    os.utime(run / "InterOp" / "EventMetricsOut.bin", (fifty_minutes_ago, fifty_minutes_ago))
    config = lab.write_config(lab.section(bucket, upload_in_progress=True))
    proxy = lab.behind()

    first = lab.monitor(config, "--json")

    assert first.exit_code == 0, first.stderr
    waiting = (
        {name for name in files_below(run) if name.startswith(("InterOp/", "RTALogs/"))}
        | EVER_CHANGING
        | {"Data/fresh.cbcl"}
    )
    assert "B of the run while it is written; " in first.json["runs"][0]["detail"]
    early = set(files_below(run)) - waiting
    assert set(names_put(proxy, run)) == early
    assert "ListObjectsV2" not in operations(proxy)  # nothing is proved yet
    (row,) = first.json["runs"]
    assert (row["state"], row["reason"], row["uploaded_files"]) == ("in_progress", "in_progress", len(early))
    log = lab.run_log(run)
    assert (log["completed"], log["state"], log["completed_at"]) == (False, "in_progress", None)
    assert set(log["files"]) == early
    assert log["failed_upload_files"] == []
    assert lab.slack.texts() == []

    again = lab.monitor(config)
    assert again.exit_code == 0, again.stderr
    assert set(names_put(proxy, run)) == early  # nothing was sent twice

    rewritten = next(iter(sorted(name for name in early if name.endswith(".cbcl"))))
    (run / rewritten).write_bytes(b"rewritten by the instrument")
    complete(run)
    proxy = lab.behind()
    last = lab.monitor(config, "--json")

    assert last.exit_code == 0, last.stderr
    put = names_put(proxy, run)
    assert set(put) == waiting | {rewritten, *MARKERS}
    assert put[-2:] == MARKERS
    assert len(put) == len(set(put))
    lab.assert_in_bucket(run, bucket, run.name)
    log = lab.run_log(run)
    assert (log["completed"], log["state"]) == (True, "completed")
    assert set(log["files"]) == set(files_below(run))
    assert lab.slack.texts() == [success(run)]


def test_without_the_config_key_nothing_of_a_running_run_goes_up(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    write_running(moto_lab)
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    assert keys_put(proxy) == []
    assert done.json["runs"][0]["reason"] == "not_complete"


@pytest.mark.parametrize(
    ("sheet", "reason"), [(b"[Data]\nSample_ID\nother\n", "samples_do_not_match"), (None, "not_complete")]
)
def test_a_run_whose_samples_are_not_wanted_or_not_known_yet_waits(
    moto_lab: Lab, sheet: bytes | None, reason: str
) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab)
    if sheet is None:
        (run / "SampleSheet.csv").unlink()
    else:
        (run / "SampleSheet.csv").write_bytes(sheet)
    proxy = moto_lab.behind()
    section = moto_lab.section(bucket, upload_in_progress=True, sample_regex="^sample_")

    done = moto_lab.monitor(moto_lab.write_config(section), "--json")

    assert done.exit_code == 0, done.stderr
    assert keys_put(proxy) == []
    assert done.json["runs"][0]["reason"] == reason


def test_what_cannot_be_sent_now_is_no_failure_until_the_run_is_complete(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab)
    (run / "broken").symlink_to("nowhere")
    config = moto_lab.write_config(moto_lab.section(bucket, upload_in_progress=True))
    moto_lab.behind(Rule(on("PutObject", key_ends="/RunInfo.xml"), Answer(403, "AccessDenied")))

    first = moto_lab.monitor(config)

    assert first.exit_code == 0, first.stderr
    assert moto_lab.slack.texts() == []
    assert moto_lab.run_log(run)["failed_upload_files"] == []
    assert "RunInfo.xml waits for the next round" in first.stderr

    complete(run)
    second = moto_lab.monitor(config)

    assert second.exit_code == 3
    assert {Path(path).name for path in moto_lab.run_log(run)["failed_upload_files"]} == {"broken", "RunInfo.xml"}
    assert not any(key.endswith("Complete.txt") for key in moto_lab.server.objects(bucket))


def test_complete_runs_come_before_running_ones_whose_time_is_limited(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    slow, complete_run = write_running(moto_lab, 1), moto_lab.make_run(2)
    third = write_running(moto_lab, 3)
    config = moto_lab.write_config(
        moto_lab.section(bucket, upload_in_progress=True), max_minutes_per_tick=0.03, max_threads=1, max_cores=1
    )
    proxy = moto_lab.behind(Rule(lambda seen: seen.key.startswith(slow.name), Delay(0.7)))

    first = moto_lab.monitor(config, "--json")

    assert first.exit_code == 0, first.stderr
    put = keys_put(proxy)
    assert all(key.startswith(complete_run.name) for key in put[:RUN_FILES])
    assert {key.partition("/")[0] for key in put[RUN_FILES:]} == {slow.name}
    rows = {row["run_id"]: row for row in first.json["runs"]}
    assert rows[complete_run.name]["state"] == "uploaded"
    assert rows[slow.name]["state"] == rows[third.name]["state"] == "in_progress"
    assert "its turn comes in the next round" in rows[third.name]["detail"]
    known = set(moto_lab.run_log(slow)["files"])
    assert 0 < len(known) < len(files_below(slow)) - len(EVER_CHANGING)

    proxy = moto_lab.behind()
    second = moto_lab.monitor(config)

    assert second.exit_code == 0, second.stderr
    put = keys_put(proxy)
    assert put[0].startswith(third.name)  # who was not served comes first
    assert not known & set(names_put(proxy, slow))  # and nothing goes up twice


def test_a_dry_run_tells_what_would_go_up_now(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab)
    config = moto_lab.write_config(moto_lab.section(bucket, upload_in_progress=True))

    done = moto_lab.monitor(config, "--dry-run")

    assert done.exit_code == 0, done.stderr
    assert f"{run} would be uploaded" in done.stdout
    assert "in progress" in done.stdout
    assert "CopyComplete.txt" in done.stdout  # what ends the run
    assert not moto_lab.log_dir.exists()


def test_a_killed_round_goes_on_with_what_is_missing(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab)
    config = moto_lab.write_config(moto_lab.section(bucket, upload_in_progress=True), max_cores=1, max_threads=1)
    data = next(name for name in files_below(run) if name.endswith(".cbcl"))
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends=data), Delay(60)))

    with moto_lab.start_monitor(config):
        proxy.wait_for(on("PutObject", key_ends=data))  # then it is killed
    before = set(moto_lab.server.objects(bucket))
    assert before

    proxy = moto_lab.behind()
    again = moto_lab.monitor(config)

    assert again.exit_code == 0, again.stderr
    assert f"{run.name}/{data}" in keys_put(proxy)
    assert len(before & set(keys_put(proxy))) <= 1  # what was accepted in the last moment, before it was written down
    assert not any(key.endswith("Complete.txt") for key in moto_lab.server.objects(bucket))


def test_a_stalled_run_is_told_of_once(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab, age_s=30 * HOUR)
    os.utime(run, (time.time() - 30 * HOUR,) * 2)
    other = moto_lab.sequencer() / run_id(7)
    other.mkdir()
    (other / "RunInfo.xml").write_bytes((run / "RunInfo.xml").read_bytes())
    config = moto_lab.write_config(moto_lab.section(bucket))

    for _ in range(2):
        done = moto_lab.monitor(config)
        assert done.exit_code == 0, done.stderr

    (text,) = moto_lab.slack.texts("alert")
    assert text.startswith(f":warning:  *S3 Upload*: 1 run stalled\n\t\t• {run.name}: no new file for 24 h (")
    assert "CopyComplete.txt" in text


def test_a_run_that_failed_on_the_instrument_is_told_of_once_and_left(moto_lab: Lab) -> None:
    status = b"<RunCompletionStatus><RunStatus>RunErrored</RunStatus></RunCompletionStatus>"
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files={"RunCompletionStatus.xml": status})
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind()

    for _ in range(2):
        done = moto_lab.monitor(config, "--json")
        assert done.exit_code == 0, done.stderr

    assert done.json["runs"][0]["reason"] == "failed_on_instrument"
    assert keys_put(proxy) == []
    (text,) = moto_lab.slack.texts("alert")
    assert text.startswith(":x:  *S3 Upload*: 1 run failed on the instrument")
    assert run.name in text
    assert "RunErrored" in text

    moto_lab.write_config(moto_lab.section(bucket, upload_failed_runs=True))
    assert moto_lab.monitor(config).exit_code == 0
    moto_lab.assert_in_bucket(run, bucket, run.name)


def test_verify_looks_at_what_was_sent_of_a_running_run_and_repairs_nothing(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), write_running(moto_lab)
    config = moto_lab.write_config(moto_lab.section(bucket, upload_in_progress=True))
    assert moto_lab.monitor(config).exit_code == 0
    (run / "new").write_bytes(b"written meanwhile")
    (run / ".transfer_state").write_bytes(b"sent, and rewritten meanwhile")
    verify = ["verify", "--config", str(config), "--json"]

    good = run_command(*verify, "--deep", env=moto_lab.server.environment())
    assert good.exit_code == 0, good.stderr
    assert good.json["runs"][0]["files"] == len(moto_lab.run_log(run)["files"])

    moto_lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/RunInfo.xml")
    proxy = moto_lab.behind()
    bad = run_command(*verify, "--repair", env=moto_lab.reached.environment())
    assert bad.exit_code == 4
    assert keys_put(proxy) == []
    assert "nothing is sent while the instrument writes it" in bad.json["runs"][0]["detail"]

    complete(run)
    assert moto_lab.monitor(config).exit_code == 0
    moto_lab.assert_in_bucket(run, bucket, run.name)
