"""A complete run is found by `monitor`, uploaded under its exact names, remembered and told of."""

import subprocess
import sys
from pathlib import Path

from .lab import RUN_FILES, Lab, files_below, success


def test_a_complete_run_goes_up_and_its_log_has_the_old_fields(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    (lab.sequencer() / "no run").mkdir()

    done = lab.monitor(lab.write_config(lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert len(lab.server.objects(bucket)) == RUN_FILES
    log = lab.run_log(run)
    etags = {key.removeprefix(f"{run.name}/"): seen.etag for key, seen in lab.server.objects(bucket).items()}
    assert {key: log[key] for key in list(log)[:8]} == {
        "run_id": run.name,
        "run_path": str(run),
        "completed": True,
        "total_local_files": RUN_FILES,
        "total_uploaded_files": RUN_FILES,
        "total_failed_upload": 0,
        "failed_upload_files": [],
        "uploaded_files": {str(run / name): etag for name, etag in etags.items()},
    }
    assert (log["bucket"], log["remote_path"]) == (bucket, "/")
    (row,) = done.json["runs"]
    assert row.pop("seconds") > 0
    assert row.pop("detail")
    assert row.pop("instrument")["platform"] == "NovaSeq 6000"
    assert row.pop("rule") == "NovaSeq 6000: CopyComplete.txt ends a run"
    assert row == {
        "run_id": run.name,
        "run_path": str(run),
        "bucket": bucket,
        "prefix": run.name,
        "state": "uploaded",
        "reason": "new",
        "files": RUN_FILES,
        "bytes": sum(map(len, files_below(run).values())),
        "uploaded_files": RUN_FILES,
        "uploaded_bytes": sum(map(len, files_below(run).values())),
        "failed_files": [],
    }
    assert done.json["exit_code"] == 0
    assert lab.slack.texts("log") == [success(run)]
    assert lab.slack.texts("alert") == []


def test_the_run_log_holds_size_time_and_checksum_of_each_file(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()

    assert lab.monitor(lab.write_config(lab.section(bucket))).exit_code == 0

    recorded = lab.run_log(run)["files"]
    assert set(recorded) == set(files_below(run))
    for name, known in recorded.items():
        status = (run / name).stat()
        assert (known["size"], known["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
        answer = lab.server.client().head_object(Bucket=bucket, Key=f"{run.name}/{name}", ChecksumMode="ENABLED")
        assert answer["ChecksumCRC64NVME"] == known["crc64nvme"]


def test_the_remote_path_stands_before_the_run_without_outer_slashes(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, remote_path="/runs/of/2024/")))

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, f"runs/of/2024/{run.name}")
    assert len(moto_lab.server.objects(bucket)) == RUN_FILES


def test_the_installed_console_script_does_the_same(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    script = Path(sys.executable).parent / "async-s3-upload"

    done = subprocess.run(
        [script, "monitor", "--config", str(config)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(moto_lab.folder), **moto_lab.server.environment()},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    moto_lab.assert_in_bucket(run, bucket, run.name)
