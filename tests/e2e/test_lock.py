"""One `monitor` per log folder: the second says so and leaves everything to the first."""

import signal

from tests.support.proxy import Rule, Stall, on

from .lab import Lab, keys_put, operations, puts


def test_a_second_monitor_says_that_another_runs_and_a_third_goes_on_where_the_first_ended(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    config = lab.write_config(lab.section(bucket))
    stalled = f"{run.name}/RunInfo.xml"
    proxy = lab.behind(Rule(on("PutObject", key_ends=stalled), Stall()))

    with lab.start_monitor(config) as first:
        proxy.wait_for(on("PutObject", key_ends=stalled))
        before = proxy.count()
        behind_second = lab.behind()

        second = lab.monitor(config, "--json")

        assert second.exit_code == 0, second.stderr
        assert f"another upload runs already with log_dir {lab.log_dir}: nothing to do for this one" in second.stderr
        assert second.json["runs"] == []
        assert operations(behind_second) == []
        first.signal(signal.SIGTERM)
        ended = first.wait(15)
    assert ended.exit_code == 143, ended.stderr
    assert proxy.count() >= before
    assert lab.slack.texts() == []

    behind_third = lab.behind()
    third = lab.monitor(config)

    assert third.exit_code == 0, third.stderr
    assert stalled in keys_put(behind_third)
    lab.assert_in_bucket(run, bucket, run.name)


def test_another_log_folder_is_another_lock(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run, other = moto_lab.make_run(1, sequencer="sequencer_1"), moto_lab.make_run(2, sequencer="sequencer_2")
    proxy = moto_lab.behind(Rule(puts, Stall()))

    with moto_lab.start_monitor(moto_lab.write_config(moto_lab.section(bucket, "sequencer_1"))):
        proxy.wait_for(puts)
        moto_lab.behind()
        elsewhere = str(moto_lab.folder / "other log")
        config = moto_lab.write_config(moto_lab.section(bucket, "sequencer_2"), log_dir=elsewhere)

        done = moto_lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(other, bucket, other.name)
    assert not any(key.startswith(run.name) for key in moto_lab.server.objects(bucket))
