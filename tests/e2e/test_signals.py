"""SIGTERM and SIGINT: a clean stop within seconds, the state kept, the next start sends the rest."""

import signal
import time

import pytest

from tests.support.proxy import Delay, Rule, Stall, on

from .lab import RUN_FILES, Lab, files_below, keys_put, puts

STOP_SECONDS = 10


@pytest.mark.parametrize(
    ("number", "group", "exit_code"),
    [(signal.SIGTERM, False, 143), (signal.SIGINT, True, 130)],
    ids=["terminated by its id", "Ctrl-C to the whole group"],
)
def test_an_upload_that_is_stopped_goes_on_where_it_ended(
    lab: Lab, number: signal.Signals, group: bool, exit_code: int
) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    proxy = lab.behind(Rule(puts, Delay(0.2)))

    with lab.start_upload(run, bucket, "--json", "--threads", "1") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=4)
        command.signal(number, group=group)
        began = time.monotonic()
        stopped = command.wait(STOP_SECONDS + 5)
        seconds = time.monotonic() - began

    assert seconds < STOP_SECONDS
    assert stopped.exit_code == stopped.json["exit_code"] == exit_code
    assert "Traceback" not in stopped.stderr
    (row,) = stopped.json["runs"]
    assert row["state"] == "partial"
    log = lab.run_log(run)
    sent = {path.removeprefix(f"{run}/") for path in log["uploaded_files"]}
    assert 4 <= len(sent) == row["uploaded_files"] < RUN_FILES
    assert {f"{run.name}/{name}" for name in sent} == set(lab.server.objects(bucket))
    assert (log["completed"], log["failed_upload_files"]) == (False, [])

    proxy = lab.behind()
    done = lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == sorted(f"{run.name}/{name}" for name in set(files_below(run)) - sent)
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["completed"]


def test_a_big_file_in_parts_is_no_hindrance_and_the_next_start_goes_on_inside_it(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run = moto_lab.make_run(files={"Data/big.cbcl": bytes(range(256)) * 4096 * 60})
    third = on("UploadPart", part=3)
    proxy = moto_lab.behind(Rule(third, Stall()))

    with moto_lab.start_monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json") as command:
        proxy.wait_for(third)
        command.signal(signal.SIGTERM)
        stopped = command.wait(STOP_SECONDS)

    assert stopped.exit_code == stopped.json["exit_code"] == 143
    assert len(moto_lab.server.uploads_in_progress(bucket)) == 1
    assert moto_lab.slack.texts() == []
    proxy = moto_lab.behind()

    assert moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket))).exit_code == 0
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert moto_lab.server.uploads_in_progress(bucket) == []
    assert proxy.count(on("CreateMultipartUpload")) == 0
    assert 1 <= proxy.count(on("UploadPart")) < 8


def test_runs_that_were_not_begun_are_left_for_the_next_start(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    first, second = moto_lab.make_run(1), moto_lab.make_run(2)
    proxy = moto_lab.behind(Rule(puts, Stall()))

    config = moto_lab.write_config(moto_lab.section(bucket), max_cores=1, max_threads=3)

    with moto_lab.start_monitor(config, "--json") as command:
        begun, _ = proxy.wait_for(puts, times=3)[0].key.split("/", 1)
        command.signal(signal.SIGINT)
        stopped = command.wait(STOP_SECONDS)

    assert begun in (first.name, second.name)
    assert stopped.exit_code == stopped.json["exit_code"] == 130
    assert proxy.count(puts) == 3  # no more than max_threads, and none after the signal
    assert [row["run_id"] for row in stopped.json["runs"] if row["state"] != "skipped"] == [begun]
    assert len(list((moto_lab.log_dir / "uploads").glob("*.upload.log.json"))) == 1
    proxy = moto_lab.behind()

    assert moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket))).exit_code == 0
    assert keys_put(proxy)[0].startswith(begun)
    assert len(moto_lab.server.objects(bucket)) == 2 * RUN_FILES


def test_a_second_signal_stops_at_once(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(puts, Stall()))

    with moto_lab.start_upload(run, bucket) as command:
        proxy.wait_for(puts)
        command.signal(signal.SIGTERM)
        command.signal(signal.SIGINT)
        stopped = command.wait(STOP_SECONDS)

    assert stopped.exit_code in (130, 143)
    assert "stopped at once" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_a_signal_before_anything_is_sent_stops_too(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(on("HeadBucket"), Stall()))

    with moto_lab.start_upload(run, bucket, "--json") as command:
        proxy.wait_for(on("HeadBucket"))
        command.signal(signal.SIGTERM)
        stopped = command.wait(STOP_SECONDS)

    assert stopped.exit_code == stopped.json["exit_code"] == 143
    assert proxy.count() == 1
