"""With the workers of a cluster everything comes out as with processes of this machine: S3, run log, output, code."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab import MARKERS, Lab, keys_put
from tests.e2e.test_tls import write_certificate
from tests.support.cluster import DaskCluster
from tests.support.command import Completed
from tests.support.proxy import Answer, Rule, on
from tests.support.s3server import ObjectSeen, S3Server

MIB = 1024 * 1024
BIG = {"Data/big.cbcl": bytes(range(256)) * 4096 * 20, "Data/odd.cbcl": b"odd" * (6 * MIB)}
TIMES = {"seconds", "uploaded_at", "started_at", "updated_at", "completed_at", "upload_seconds", "time"}
PLACES = {"bucket"}


@pytest.fixture(scope="module")
def shared(seaweed: S3Server) -> Iterator[DaskCluster]:
    """A cluster of two workers for all tests of the module, which do no harm to it."""
    with DaskCluster() as cluster:
        cluster.add_workers("first", "second", env=seaweed.environment())
        yield cluster


@pytest.fixture
def lab(lab_at: Callable[[S3Server], Lab], seaweed: S3Server) -> Iterator[Lab]:
    """A lab that uploads to SeaweedFS, which checks signatures and checksums."""
    lab = lab_at(seaweed)
    yield lab
    lab.remove_buckets()


def timeless(value: Any) -> Any:
    """Return the same without what says when, how fast, and in which bucket."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES | PLACES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def both_ways(lab: Lab, shared: DaskCluster, run: Path, *args: str) -> tuple[list[Completed], list[Any], list[Any]]:
    """Upload the run with processes and on the cluster; return how each ended, its run log, and what is in S3."""
    ended, logs, stored = [], [], []
    for name, options in (("local", ["--cores", "2"]), ("cluster", ["--scheduler", shared.address])):
        bucket, way = lab.bucket(), replace(lab, folder=lab.folder / name)
        way.reached = lab.reached
        ended.append(way.upload(run, bucket, *args, *options))
        logs.append(way.run_log(run))
        objects: dict[str, ObjectSeen] = lab.server.objects(bucket)
        stored.append({key: (seen, lab.server.body(bucket, key)) for key, seen in objects.items()})
    return ended, logs, stored


def test_an_upload_leaves_the_same_in_s3_in_the_run_log_and_in_its_document(lab: Lab, shared: DaskCluster) -> None:
    run = lab.make_run(files=BIG, small_files=60)

    ended, logs, stored = both_ways(lab, shared, run, "--json")

    assert [done.exit_code for done in ended] == [0, 0], ended[1].stderr
    assert timeless(ended[0].json) == timeless(ended[1].json)
    assert timeless(logs[0]) == timeless(logs[1])
    assert stored[0] == stored[1]
    assert len(stored[1]) == 60 + len(BIG)


def test_the_same_is_told_of_each_file_and_part_while_it_happens(lab: Lab, shared: DaskCluster) -> None:
    run = lab.make_run(files=BIG)

    ended, _, _ = both_ways(lab, shared, run, "--json-events")

    assert [done.exit_code for done in ended] == [0, 0], ended[1].stderr
    told = [[json.loads(line) for line in done.stdout.splitlines()] for done in ended]
    for name in ("file_done", "part_done"):
        local, cluster = (
            Counter(json.dumps(timeless(line), sort_keys=True) for line in lines if line["event"] == name)
            for lines in told
        )
        assert local == cluster
        assert local
    assert timeless(told[0][-1]).keys() == timeless(told[1][-1]).keys()


def test_a_file_that_s3_refuses_fails_with_the_same_words_and_code(lab: Lab, shared: DaskCluster) -> None:
    run = lab.make_run()
    lab.behind(Rule(on("PutObject", key_ends="SampleSheet.csv"), Answer(403, "AccessDenied")))

    ended, logs, stored = both_ways(lab, shared, run, "--json")

    assert ended[0].exit_code == ended[1].exit_code == 3
    assert timeless(ended[0].json) == timeless(ended[1].json)
    assert timeless(logs[0]) == timeless(logs[1])
    assert stored[0] == stored[1]


def test_the_log_says_the_same_of_the_run(lab: Lab, shared: DaskCluster) -> None:
    run = lab.make_run()

    ended, _, _ = both_ways(lab, shared, run)

    def lines(done: Completed) -> list[str]:
        of_run = [line for line in done.stderr.splitlines() if run.name in line]
        plain = [re.sub(r"^\S+ \S+ ", "", line) for line in of_run]
        return [re.sub(r"runs-[0-9a-f]+|[\d.]+ s|\([\d.]+ .B/s\)", "*", line) for line in plain]

    assert lines(ended[0]) == lines(ended[1])


def test_a_round_of_monitor_sends_all_runs_and_their_markers_last(lab: Lab, shared: DaskCluster) -> None:
    bucket = lab.bucket()
    runs = [lab.make_run(1, files=BIG), lab.make_run(2)]
    proxy = lab.behind()
    config = lab.write_config(lab.section(bucket), dask_scheduler=str(shared.scheduler_file))

    done = lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert [(row["run_id"], row["state"]) for row in done.json["runs"]] == [(run.name, "uploaded") for run in runs]
    for run in runs:
        lab.assert_in_bucket(run, bucket, run.name)
        assert lab.run_log(run)["completed"]
        sent = [key.partition("/")[2] for key in keys_put(proxy) if key.startswith(f"{run.name}/")]
        assert sent[-2:] == MARKERS
        assert len(sent) == len(set(sent))
    proxy.forget()

    again = lab.monitor(config, "--json")

    assert again.exit_code == 0
    assert keys_put(proxy) == []


def test_the_option_comes_before_the_key_of_the_config(lab: Lab, shared: DaskCluster) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    config = lab.write_config(lab.section(bucket), dask_scheduler="tcp://127.0.0.1:1")

    done = lab.monitor(config, "--scheduler", shared.address)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)


def test_everything_may_go_over_tls(lab: Lab, tmp_path: Path) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    certificate, key = map(str, write_certificate(tmp_path))  # one for all, as its own authority
    tls = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": certificate, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = certificate
        tls[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = key
    with DaskCluster(env=tls, protocol="tls") as cluster:
        cluster.add_worker("one", env=lab.server.environment())
        assert cluster.address.startswith("tls://")

        done = lab.upload(run, bucket, "--scheduler", cluster.address, env=tls)
        without = lab.upload(run, bucket, "--scheduler", cluster.address)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert without.exit_code == 1
    assert "wants TLS: name CA, certificate and key in Dask's configuration" in without.stderr
    assert "Traceback" not in without.stderr
