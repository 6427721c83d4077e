"""A lab that used the replaced tool goes on with its config and its run logs; nothing is sent again."""

import json
from pathlib import Path

from .lab import RUN_FILES, Lab, files_below, keys_put, make_old, operations, read_json, success, tree

OLD_FIELDS = {
    "run_id",
    "run_path",
    "completed",
    "total_local_files",
    "total_uploaded_files",
    "total_failed_upload",
    "failed_upload_files",
    "uploaded_files",
}


def old_config(lab: Lab, bucket: str) -> Path:
    """Write a config with the keys and values of the replaced tool, and none of ours."""
    path = lab.folder / "old config.json"
    config = {
        "max_cores": 4,
        "max_threads": 8,
        "max_age": 48,
        "log_level": "DEBUG",
        "log_dir": str(lab.log_dir),
        "slack_log_webhook": lab.slack.url_of("log"),
        "slack_alert_webhook": lab.slack.url_of("alert"),
        "monitor": [
            {
                "monitored_directories": [str(lab.sequencer())],
                "bucket": bucket,
                "remote_path": "/",
                "sample_regex": "_assay_1_code_|_assay_2_code_",
            }
        ],
    }
    path.write_text(json.dumps(config, indent=4))
    return path


def test_completed_runs_are_skipped_and_partial_ones_continue_with_what_is_missing(lab: Lab) -> None:
    bucket, samples = lab.bucket(), ["a_assay_1_code_x", "b_assay_2_code_y"]
    completed, partial, new = (lab.make_run(number, samples=samples) for number in (1, 2, 3))
    kept = lab.write_old_log(completed, sorted(files_below(completed)))
    names = sorted(files_below(partial))
    lab.write_old_log(partial, names[4:])
    make_old(partial, hours=500)
    proxy = lab.behind()

    done = lab.monitor(old_config(lab, bucket), "--json")

    assert done.exit_code == 0, done.stderr
    states = {row["run_id"]: (row["state"], row["uploaded_files"]) for row in done.json["runs"]}
    assert states == {
        completed.name: ("skipped", 0),
        partial.name: ("uploaded", 4),
        new.name: ("uploaded", RUN_FILES),
    }
    assert sorted(key for key in keys_put(proxy) if not key.startswith(new.name)) == [
        f"{partial.name}/{name}" for name in names[:4]
    ]
    assert lab.run_log_path(completed).read_text() == kept
    log = lab.run_log(partial)
    assert set(log) > OLD_FIELDS
    assert log["completed"] is True
    assert (log["total_local_files"], log["total_uploaded_files"], log["total_failed_upload"]) == (16, 16, 0)
    assert log["failed_upload_files"] == []
    assert set(log["uploaded_files"]) == {str(partial / name) for name in names}
    assert log["uploaded_files"][str(partial / names[4])] == "etag-of-0"
    objects = lab.server.objects(bucket)
    assert log["uploaded_files"][str(partial / names[0])] == objects[f"{partial.name}/{names[0]}"].etag
    assert log["bucket"] == bucket
    assert lab.slack.texts("log") == [success(partial, new)]


def test_equal_counts_do_not_complete_a_run(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    names = sorted(files_below(run))
    moto_lab.write_old_log(run, [*names[1:], "was/here/before"], completed=False)
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    assert keys_put(proxy) == [f"{run.name}/{names[0]}"]
    assert moto_lab.run_log(run)["completed"]


def test_logs_with_relative_names_are_honoured(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    names = sorted(files_below(run))
    etags = dict.fromkeys(names[2:], "an-etag")
    moto_lab.write_old_log(run, names[2:], uploaded_files=etags, failed_upload_files=names[:2])
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == [f"{run.name}/{name}" for name in names[:2]]
    assert set(moto_lab.run_log(run)["uploaded_files"]) == {str(run / name) for name in names}


def test_a_log_of_a_storage_that_was_remounted_is_this_runs(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    partial, completed = moto_lab.make_run(1), moto_lab.make_run(2)
    names = sorted(files_below(partial))
    moto_lab.write_old_log(partial, names[3:], run_path=f"/gone/before/{partial.name}")
    moto_lab.write_old_log(completed, sorted(files_below(completed)), run_path=f"/gone/before/{completed.name}")
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == [f"{partial.name}/{name}" for name in names[:3]]
    assert moto_lab.second_logs(partial) == []
    assert moto_lab.run_log(partial)["run_path"] == str(partial)
    assert set(moto_lab.run_log(partial)["uploaded_files"]) == {str(partial / name) for name in names}


def test_a_log_whose_files_do_not_fit_is_foreign_and_kept(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    foreign = moto_lab.write_old_log(run, ["RunInfo.xml", "Data/of/another/run.bcl"], run_path=f"/gone/{run.name}")

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert moto_lab.run_log_path(run).read_text() == foreign
    (own,) = moto_lab.second_logs(run)
    assert read_json(own)["completed"]
    assert read_json(own)["run_path"] == str(run)

    proxy = moto_lab.behind()
    before = tree(moto_lab.log_dir / "uploads")
    assert moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket))).exit_code == 0
    assert operations(proxy) == ["HeadBucket"]
    assert tree(moto_lab.log_dir / "uploads") == before


def test_objects_the_old_tool_recorded_are_trusted_but_doubts_are_said_and_other_sizes_are_sent_again(
    moto_lab: Lab,
) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    names = sorted(files_below(run))
    moto_lab.write_old_log(run, names[1:])
    grown = names[-1]
    moto_lab.server.client().put_object(Bucket=bucket, Key=f"{run.name}/{grown}", Body=b"as long as it was before")
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == sorted([f"{run.name}/{names[0]}", f"{run.name}/{grown}"])
    doubts = len(names) - 2
    assert done.json["runs"][0]["detail"] == f"{doubts} objects recorded by s3_upload cannot be found so in S3"
    assert done.stderr.count("was recorded by s3_upload, but in S3 it is missing; `verify --repair`") == doubts
