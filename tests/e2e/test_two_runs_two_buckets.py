"""Sections of a config have buckets of their own, and each bucket gets its runs alone."""

from .lab import Lab, success


def test_two_runs_go_to_two_buckets_and_slack_is_told_once(lab: Lab) -> None:
    first, second = lab.bucket("first"), lab.bucket("second")
    run_1, run_2 = lab.make_run(1, sequencer="sequencer_1"), lab.make_run(2, sequencer="sequencer_2")
    config = lab.write_config(
        lab.section(first, "sequencer_1"), lab.section(second, "sequencer_2", remote_path="/sequencer_2_runs")
    )

    done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run_1, first, run_1.name)
    lab.assert_in_bucket(run_2, second, f"sequencer_2_runs/{run_2.name}")
    assert all(key.startswith(f"{run_1.name}/") for key in lab.server.objects(first))
    assert all(key.startswith(f"sequencer_2_runs/{run_2.name}/") for key in lab.server.objects(second))
    assert lab.slack.texts("log") in ([success(run_1, run_2)], [success(run_2, run_1)])
    assert lab.run_log(run_1)["bucket"] == first
    assert lab.run_log(run_2)["bucket"] == second


def test_one_section_looks_into_several_folders(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    runs = [moto_lab.make_run(number, sequencer=f"sequencer_{number}") for number in (1, 2)]

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, "sequencer_1", "sequencer_2")))

    assert done.exit_code == 0, done.stderr
    for run in runs:
        moto_lab.assert_in_bucket(run, bucket, run.name)


def test_runs_below_the_immediate_sub_folders_are_not_looked_for(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    moto_lab.make_run(1, sequencer="sequencer_1")
    (moto_lab.folder / "above").mkdir()
    (moto_lab.folder / "sequencer_1").rename(moto_lab.folder / "above" / "sequencer_1")

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, "above")), "--json")

    assert done.exit_code == 0, done.stderr
    assert done.json["runs"] == []
    assert moto_lab.server.objects(bucket) == {}
    assert moto_lab.slack.messages == []
