"""A run log that cannot be read is named; its run counts as partial with nothing known, the others go on."""

import pytest

from .lab import RUN_FILES, Lab, keys_put, make_old


@pytest.mark.parametrize("cut", [0, 0.6], ids=["empty", "cut off"])
def test_a_torn_log_is_named_and_its_run_sent_again_whatever_its_age(moto_lab: Lab, cut: float) -> None:
    bucket, torn, other = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    text = moto_lab.write_old_log(torn, ["RunInfo.xml", "SampleSheet.csv"])
    moto_lab.run_log_path(torn).write_text(text[: int(cut * len(text))])
    make_old(torn, hours=500)
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    assert f"run log {moto_lab.run_log_path(torn)} is torn or no run log: " in done.stderr
    assert "; its run is treated as partly uploaded with nothing known" in done.stderr
    assert [(row["run_id"], row["reason"]) for row in done.json["runs"]] == [
        (torn.name, "partial"),
        (other.name, "new"),
    ]
    moto_lab.assert_in_bucket(torn, bucket, torn.name)
    moto_lab.assert_in_bucket(other, bucket, other.name)
    assert len(keys_put(proxy)) == 2 * RUN_FILES
    assert moto_lab.run_log(torn)["completed"]
    (alert,) = moto_lab.slack.texts("alert")
    assert moto_lab.run_log_path(torn).name in alert
