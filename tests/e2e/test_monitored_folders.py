"""A monitored folder that is missing is an alert and does not stop the others; ages and markers are judged."""

import os
import time
from pathlib import Path

from .lab import Lab, make_old, success


def test_a_missing_folder_is_an_alert_and_the_others_go_on(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(sequencer="sequencer_2")
    missing = lab.folder / "sequencer_1"

    done = lab.monitor(lab.write_config(lab.section(bucket, "sequencer_1", "sequencer_2")), "--json")

    assert done.exit_code == done.json["exit_code"] == 3
    assert str(missing) in done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    (alert,) = lab.slack.texts("alert")
    assert str(missing) in alert
    assert lab.slack.texts("log") == [success(run)]


def test_a_monitored_path_that_is_a_file_is_an_alert_too(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    (moto_lab.folder / "sequencer_1").write_text("a file")

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 3, done.stderr
    assert [message.hook for message in moto_lab.slack.messages] == ["alert"]


def test_only_new_runs_can_be_too_old(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    old, younger, by_default = moto_lab.make_run(1), moto_lab.make_run(2), moto_lab.make_run(3, sequencer="other")
    make_old(old, hours=11)
    make_old(younger, hours=9)
    make_old(by_default, hours=71)
    now = time.time()
    os.utime(old, (now, now))  # only RunInfo.xml's time counts

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), max_age=10), "--json")

    assert done.exit_code == 0, done.stderr
    assert {row["run_id"]: row["reason"] for row in done.json["runs"]} == {old.name: "too_old", younger.name: "new"}
    assert {key.partition("/")[0] for key in moto_lab.server.objects(bucket)} == {younger.name}

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, "sequencer_1", "other")), "--json")

    assert {row["run_id"]: row["state"] for row in done.json["runs"]} == {
        old.name: "uploaded",
        younger.name: "skipped",
        by_default.name: "uploaded",
    }


def test_a_run_is_complete_by_its_instrument_s_rule_or_by_any_termination_file(moto_lab: Lab) -> None:
    bucket, by_instrument, by_any = moto_lab.bucket(), {}, {}
    markers = ["CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml", "RTARead1Complete.txt"]
    for number, marker in enumerate(markers):
        run = moto_lab.make_run(number)
        (run / "RTAComplete.txt").unlink()
        (run / "CopyComplete.txt").unlink()
        (run / marker).touch()
        by_instrument[run.name] = "new" if marker == "CopyComplete.txt" else "not_complete"
        by_any[run.name] = "not_complete" if marker == "RTARead1Complete.txt" else "new"

    for completion, expected in (("instrument", by_instrument), ("any", by_any)):
        section = moto_lab.section(bucket, completion=completion)
        done = moto_lab.monitor(moto_lab.write_config(section), "--dry-run", "--json")
        assert {row["run_id"]: row["reason"] for row in done.json["runs"]} == expected


def test_run_folders_without_run_info_are_no_runs(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    (run / "RunInfo.xml").unlink()
    Path(moto_lab.sequencer() / "a file").touch()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    assert done.json["runs"] == []
    assert moto_lab.server.objects(bucket) == {}
