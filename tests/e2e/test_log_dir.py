"""Without a writable log folder nothing is started; the log file is rotated and kept for five days."""

import os
import time

import pytest

from .lab import HOUR, Lab, operations


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_a_log_folder_that_cannot_be_made_is_one_clear_error_before_anything_starts(moto_lab: Lab, way: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    (moto_lab.folder / "file").write_text("in the way")
    log_dir = str(moto_lab.folder / "file" / "log")
    proxy = moto_lab.behind()

    if way == "monitor":
        done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), log_dir=log_dir), "--json")
    else:
        done = moto_lab.upload(run, bucket, "--json", "--log-dir", log_dir)

    assert done.exit_code == done.json["exit_code"] == 1
    (line,) = done.stderr.splitlines()
    assert f"log folder {log_dir} cannot be written: Not a directory; give this user the right to write there" in line
    assert line.endswith("or name another folder (log_dir in the config, --log-dir for upload)")
    assert "Traceback" not in done.stderr
    assert operations(proxy) == []
    assert moto_lab.server.objects(bucket) == {}


def test_the_log_of_yesterday_is_put_aside_and_five_of_them_are_kept(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    moto_lab.make_run()
    moto_lab.log_dir.mkdir()
    log = moto_lab.log_dir / "s3_upload.log"
    for day in range(1, 8):
        (moto_lab.log_dir / f"s3_upload.log.2020-01-0{day}").write_text("old")
    log.write_text("of yesterday\n")
    yesterday = time.time() - 24 * HOUR
    os.utime(log, (yesterday, yesterday))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    backups = sorted(path.name for path in moto_lab.log_dir.glob("s3_upload.log.*"))
    assert len(backups) == 5
    assert backups[:4] == [f"s3_upload.log.2020-01-0{day}" for day in range(4, 8)]
    assert (moto_lab.log_dir / backups[4]).read_text() == "of yesterday\n"
    assert "of yesterday" not in moto_lab.log_text
    assert "uploaded" in moto_lab.log_text
