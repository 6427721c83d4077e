"""`monitor` knows runs of all instruments, where they nest, which of them are wanted, and which failed."""

import json
from pathlib import Path
from typing import Any

from .lab import Lab, files_below

NANOPORE = "20250603_1201_3E_PAA12345_e05460c6"
AVITI = "20250127_AV244103_1234_NT1850075L"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def reasons(done: Any) -> dict[str, tuple[str, str]]:
    return {row["run_id"]: (row["state"], row["reason"]) for row in done.json["runs"]}


def test_nested_nanopore_and_aviti_runs_go_up_once_they_have_ended(moto_lab: Lab) -> None:
    bucket, top = moto_lab.bucket(), moto_lab.folder / "promethion"
    nanopore = write(top / "group" / "sample" / NANOPORE, pod5__a="reads")
    aviti = write(
        moto_lab.sequencer() / AVITI, RunParameters_json='{"InstrumentName": "AV244103"}', BaseCalls__a="calls"
    )
    write(aviti, RunUploaded_json="")
    section = moto_lab.section(bucket)
    section["monitored_directories"] = [*section["monitored_directories"], f"{top}/*/*", f"{top}/group/*"]
    config = moto_lab.write_config(section)

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert reasons(done) == {NANOPORE: ("skipped", "not_complete"), AVITI: ("skipped", "not_complete")}
    assert len(done.json["runs"]) == 2

    write(nanopore, final_summary_PAA12345_x_txt="")
    write(aviti, RunUploaded_json='{"outcome": "OutcomeCompleted"}')

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert reasons(done) == {NANOPORE: ("uploaded", "new"), AVITI: ("uploaded", "new")}
    assert set(moto_lab.server.objects(bucket)) == {
        f"{run.name}/{name}" for run in (nanopore, aviti) for name in files_below(run)
    }
    rules = {row["run_id"]: row["rule"] for row in done.json["runs"]}
    assert rules[NANOPORE] == "Oxford Nanopore: final_summary_*.txt ends a run"


def test_a_run_that_failed_on_the_instrument_is_left_unless_the_section_wants_it(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    status = "<RunCompletionStatus><RunStatus>RunErrored</RunStatus></RunCompletionStatus>"
    (run / "RunCompletionStatus.xml").write_text(status)

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 0, done.stderr
    (row,) = done.json["runs"]
    assert (row["state"], row["reason"]) == ("skipped", "failed_on_instrument")
    assert row["detail"] == "the instrument says that it failed: RunErrored"
    assert row["instrument"] == {"platform": "NovaSeq 6000", "serial": "A01295", "software": None}

    refused = moto_lab.upload(run, bucket, "--json")

    assert refused.exit_code == 2
    assert "RunErrored" in refused.stderr
    assert "--skip-check" in refused.stderr
    assert [row["reason"] for row in refused.json["runs"]] == ["failed_on_instrument"]
    assert moto_lab.server.objects(bucket) == {}

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, upload_failed_runs=True)), "--json")

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)


def test_only_runs_of_the_names_and_instruments_wanted_go_up_and_the_dry_run_says_which_rule_decided(
    moto_lab: Lab,
) -> None:
    bucket, first, second = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    other = write(moto_lab.sequencer() / "x", start_txt="", done_txt="")
    sections = [
        moto_lab.section(bucket, run_regex=f"^{first.name}$", instrument_ids=["a01295"]),
        moto_lab.section(bucket, remote_path="/b", instrument_ids=["LH00188"]),
        moto_lab.section(
            bucket, remote_path="/c", run_regex="^x$", run_markers=["start.txt"], completion_markers=["do?e.*"]
        ),
    ]

    done = moto_lab.monitor(moto_lab.write_config(*sections), "--dry-run", "--json")

    assert done.exit_code == 0, done.stderr
    assert sorted(
        (row["run_id"], row["prefix"].partition("/")[0], row["reason"]) for row in done.json["runs"]
    ) == sorted(
        [
            (first.name, first.name, "new"),
            (second.name, second.name, "run_does_not_match"),
            (first.name, "b", "instrument_does_not_match"),
            (second.name, "b", "instrument_does_not_match"),
            (other.name, "c", "new"),
            (first.name, "c", "run_does_not_match"),
            (second.name, "c", "run_does_not_match"),
        ]
    )
    done = moto_lab.monitor(moto_lab.write_config(*sections), "--dry-run")
    assert "any of completion_markers (do?e.*) ends a run" in done.stdout
    assert json.dumps(done.stdout).count("NovaSeq 6000: CopyComplete.txt ends a run") == 1
