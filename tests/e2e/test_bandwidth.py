"""A limit of bandwidth: kept by all workers together, no reason for time-outs, giving up or a slow end."""

import signal
import time
from pathlib import Path

import pytest

from benchmarks.destination import running_sink
from tests.support.proxy import on

from .lab import Lab
from .limited import upload_with_a_limit

MB = 10**6
STOP_SECONDS = 10


def test_no_more_than_the_limit_arrives_whatever_the_number_of_workers(tmp_path: Path) -> None:
    with running_sink() as sink:
        upload_with_a_limit(tmp_path, sink, "--cores", "2")


@pytest.mark.parametrize("keys", [{"max_bandwidth": "200kB/s"}, {"bandwidth_timetable": {"00:00-24:00": "200kB/s"}}])
def test_a_low_limit_is_no_reason_for_time_outs_or_for_giving_up(moto_lab: Lab, keys: dict[str, object]) -> None:
    """The one file takes longer than a request may take, and longer than nothing may succeed."""
    bucket = moto_lab.bucket()
    moto_lab.make_run(files={"Data/big": bytes(800_000)})
    proxy = moto_lab.behind()
    limits = {"request_timeout": 2, "min_rate": 10**9, "give_up_after_minutes": 0.03, "max_cores": 1}

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), **limits, **keys))

    assert done.exit_code == 0, done.stderr
    assert "no answer within" not in done.stderr
    assert proxy.count(on("PutObject", key_ends="Data/big")) == 1


def test_a_command_that_waits_for_bandwidth_stops_within_seconds(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run = moto_lab.make_run(files={"Data/big.cbcl": bytes(20 * MB)})
    begun = on("CreateMultipartUpload")
    proxy = moto_lab.behind()

    with moto_lab.start_upload(run, bucket, "--max-bandwidth", "10kB/s") as command:
        proxy.wait_for(lambda seen: begun(seen) and seen.status == 200)
        command.signal(signal.SIGTERM)
        began = time.monotonic()
        stopped = command.wait(STOP_SECONDS + 5)

    assert time.monotonic() - began < STOP_SECONDS
    assert stopped.exit_code == 143
    assert "killed" not in stopped.stderr
    assert not moto_lab.run_log(run)["completed"]
    # the head of a part may be out, and what a few seconds allow
    parts = [seen for seen in proxy.seen if seen.operation == "UploadPart"]
    assert [seen.status for seen in parts] == [None] * len(parts)
    assert sum(seen.bytes for seen in parts) < MB


def test_a_rate_that_cannot_be_meant_is_a_usage_error(moto_lab: Lab) -> None:
    run, proxy = moto_lab.make_run(), moto_lab.behind()

    done = moto_lab.upload(run, "my-bucket", "--max-bandwidth", "50Mb/s")

    assert done.exit_code == 2
    assert '--max-bandwidth: must be a rate such as "400MB/s"' in done.stderr
    assert proxy.seen == []
