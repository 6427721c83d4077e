"""The metrics file after rounds of `monitor`: what went up, what failed, and counters that go on."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.proxy import Answer, Rule, on

from .lab import Lab, files_below


def metrics(path: Path) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            own = [value for name, value in sample.labels.items() if name != "log_dir"]
            found["/".join([sample.name.removeprefix("async_s3_upload_"), *own])] = sample.value
    return found


def test_rounds_are_counted_in_the_metrics_file(moto_lab: Lab) -> None:
    bucket, good, bad = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    path = moto_lab.folder / "s3.prom"
    config = moto_lab.write_config(moto_lab.section(bucket), metrics_file=str(path))
    moto_lab.behind(
        Rule(on("PutObject", key_ends=f"{bad.name}/RunInfo.xml"), Answer(403, "AccessDenied")),
        Rule(on("PutObject", key_ends=f"{good.name}/RunInfo.xml"), Answer(503, "SlowDown"), times=2),
    )
    sizes = {run: sum(map(len, files_below(run).values())) for run in (good, bad)}

    assert moto_lab.monitor(config).exit_code == 3

    first = metrics(path)
    assert (first["runs/completed"], first["runs/partial"], first["runs/damaged"]) == (1, 1, 0)
    assert (first["last_round_exit_code"], first["last_round_failed_runs"], first["round_running"]) == (3, 1, 0)
    assert (first["uploaded_runs_total"], first["failed_files_total"], first["rounds_total/3"]) == (1, 1, 1)
    assert first["retries_total"] == 2
    assert "last_success_timestamp_seconds" not in first
    assert first["last_upload_timestamp_seconds"] == first["last_round_timestamp_seconds"]

    moto_lab.behind()
    assert moto_lab.monitor(config).exit_code == 0
    assert moto_lab.monitor(config).exit_code == 0

    last = metrics(path)
    assert (last["runs/completed"], last["runs/partial"], last["last_round_failed_runs"]) == (2, 0, 0)
    assert (last["uploaded_runs_total"], last["rounds_total/0"], last["rounds_total/3"]) == (2, 2, 1)
    assert last["sent_files_total"] == sum(len(files_below(run)) for run in (good, bad))
    assert last["sent_bytes_total"] == sum(sizes.values())
    assert last["last_success_timestamp_seconds"] == last["last_round_timestamp_seconds"]
    assert last["last_upload_timestamp_seconds"] < last["last_round_timestamp_seconds"]


def test_rounds_that_cannot_begin_are_told_too(moto_lab: Lab) -> None:
    path = moto_lab.folder / "s3.prom"
    (moto_lab.folder / "file").write_text("in the way")
    config = moto_lab.write_config(moto_lab.section("b"), metrics_file=str(path), log_dir=f"{moto_lab.folder}/file/log")
    assert moto_lab.monitor(config).exit_code == 1
    assert (metrics(path)["last_round_exit_code"], metrics(path)["round_running"]) == (1, 0)

    path.unlink()
    config = moto_lab.write_config(moto_lab.section(moto_lab.bucket_name("missing")), metrics_file=str(path))
    assert moto_lab.monitor(config).exit_code == 1
    assert metrics(path)["rounds_total/1"] == 1
    assert moto_lab.monitor(config, "--dry-run").exit_code == 1
    assert metrics(path)["rounds_total/1"] == 1


def test_a_metrics_file_that_cannot_be_written_fails_no_round(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    path = moto_lab.folder / "missing" / "s3.prom"
    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), metrics_file=str(path)))
    assert done.exit_code == 0
    assert f"ERROR metrics file {path} cannot be written: No such file or directory" in moto_lab.log_text
    moto_lab.assert_in_bucket(run, bucket, run.name)
