"""What limits an upload holds for the cluster as a whole: the bandwidth, and S3 that asks to slow down."""

from pathlib import Path

from benchmarks.destination import running_sink
from tests.e2e.lab import Lab
from tests.e2e.limited import upload_with_a_limit
from tests.e2e.test_server_trouble import first_time
from tests.support.cluster import DaskCluster
from tests.support.proxy import Answer, Hold, Rule, on

from .crew import Crew, sent_by, until

SLOWER = "S3 refuses requests of others: 12 at a time from now on"


def test_no_more_than_the_limit_arrives_from_both_workers_together(tmp_path: Path, cluster: DaskCluster) -> None:
    with running_sink() as sink:
        cluster.add_workers("first", "second", env=sink.environment())
        upload_with_a_limit(tmp_path, sink, "--scheduler", cluster.address)


def test_one_worker_that_is_refused_has_the_others_slow_down(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=300)
    refusal = Hold(Answer(503, "SlowDown"))
    proxy = lab.behind(
        Rule(sent_by("first", on("PutObject")), refusal, times=1),
        Rule(sent_by("second", on("PutObject")), begun := Hold()),
    )
    crew.add("first", "second")
    config = lab.write_config(
        lab.section(bucket), dask_scheduler=crew.cluster.address, log_level="DEBUG", max_threads=16
    )

    with lab.start_monitor(config) as command:
        proxy.wait_for(sent_by("second", on("PutObject")), times=16)  # it is at work, and will be when it is told
        refusal.release()
        until(lambda: SLOWER in lab.log_text)
        begun.release()
        done = command.wait(120)

    assert done.exit_code == 0, done.stderr
    assert lab.log_text.count(SLOWER) == 1
    lab.assert_in_bucket(run, bucket, run.name)


def test_everything_arrives_although_s3_asks_to_slow_down(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=120)
    rules = [Rule(first_time(share, 3), Answer(503, "SlowDown")) for share in range(2)]
    proxy = lab.behind(*rules)
    crew.add("first", "second")

    done = lab.upload(run, bucket, *crew.options, "--json", timeout=120)

    assert done.exit_code == 0, done.stderr
    assert all(rule.taken for rule in rules)
    assert all(proxy.count(sent_by(name)) for name in ("first", "second"))
    (row,) = done.json["runs"]
    assert (row["uploaded_files"], row["failed_files"]) == (120, [])
    lab.assert_in_bucket(run, bucket, run.name)
