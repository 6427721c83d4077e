"""`--dry-run` tells for every run what would happen and why, and changes nothing anywhere."""

from pathlib import Path

from .lab import RUN_FILES, Lab, files_below, make_old, operations, tree


def prepare(lab: Lab, bucket: str) -> tuple[dict[str, Path], Path]:
    """Make a run for every state and a config that judges them."""
    runs = {name: lab.make_run(number) for number, name in enumerate(("new", "partial", "uploaded", "too_old"), 1)}
    runs["not_complete"] = lab.make_run(5)
    runs["samples_do_not_match"] = lab.make_run(6, samples=["sample_1", "other"])
    runs["no_sample_sheet"] = lab.make_run(7)
    lab.write_old_log(runs["partial"], sorted(files_below(runs["partial"]))[5:])
    lab.write_old_log(runs["uploaded"], sorted(files_below(runs["uploaded"])))
    make_old(runs["too_old"], hours=73)
    make_old(runs["partial"], hours=500)
    (runs["not_complete"] / "CopyComplete.txt").unlink()
    (runs["not_complete"] / "RTAComplete.txt").unlink()
    (runs["no_sample_sheet"] / "SampleSheet.csv").unlink()
    (lab.sequencer() / "no run").mkdir()
    return runs, lab.write_config(lab.section(bucket, remote_path="/some/where", sample_regex="^sample_"))


def test_every_state_has_its_code_and_nothing_is_written(lab: Lab) -> None:
    bucket = lab.bucket()
    runs, config = prepare(lab, bucket)
    before, proxy = tree(lab.folder), lab.behind()

    done = lab.monitor(config, "--dry-run", "--json")

    assert done.exit_code == 0, done.stderr
    rows = done.json["runs"]
    states = {row["run_id"]: (row["state"], row["reason"]) for row in rows}
    assert states == {
        runs["new"].name: ("would_upload", "new"),
        runs["partial"].name: ("would_resume", "partial"),
        runs["uploaded"].name: ("skipped", "already_uploaded"),
        runs["too_old"].name: ("skipped", "too_old"),
        runs["not_complete"].name: ("skipped", "not_complete"),
        runs["samples_do_not_match"].name: ("skipped", "samples_do_not_match"),
        runs["no_sample_sheet"].name: ("skipped", "no_sample_sheet"),
    }
    assert [row["run_id"] for row in rows[:2]] == [runs["partial"].name, runs["new"].name]
    assert {row["prefix"] for row in rows} == {f"some/where/{run.name}" for run in runs.values()}
    assert all(row["detail"] and row["bucket"] == bucket and row["uploaded_files"] == 0 for row in rows)
    assert [row["files"] for row in rows[:2]] == [RUN_FILES, RUN_FILES]
    assert tree(lab.folder) == before
    assert operations(proxy) == ["HeadBucket"]
    assert lab.server.objects(bucket) == {}
    assert lab.slack.messages == []


def test_a_line_for_each_run_is_on_stdout(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    runs, config = prepare(moto_lab, bucket)

    done = moto_lab.monitor(config, "--dry-run")

    assert done.exit_code == 0, done.stderr
    lines = {name: [line for line in done.stdout.splitlines() if str(run) in line] for name, run in runs.items()}
    for name in ("new", "partial"):
        (line,) = lines[name]
        assert line.startswith(f"{runs[name]} would be uploaded to {bucket}:some/where/{runs[name].name}")
        assert name in line
    assert done.stdout.splitlines()[-1] == "1 other sub-folder without a run"
    words = {
        "uploaded": "uploaded",
        "too_old": "too old",
        "not_complete": "not complete",
        "samples_do_not_match": "samples do not match",
        "no_sample_sheet": "sample sheet",
    }
    for name, why in words.items():
        (line,) = lines[name]
        assert "would be uploaded" not in line
        assert why in line


def test_a_first_dry_run_makes_no_log_folder(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run = moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    before = tree(moto_lab.folder)

    done = moto_lab.monitor(config, "--dry-run")

    assert done.exit_code == 0, done.stderr
    assert f"{run} would be uploaded to {bucket}:{run.name}" in done.stdout
    assert tree(moto_lab.folder) == before


def test_upload_has_a_dry_run_too(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    before, proxy = tree(moto_lab.folder), moto_lab.behind()

    done = moto_lab.upload(run, bucket, "--dry_run", "--remote-path", "/there")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{run} would be uploaded to {bucket}:there/{run.name}")
    assert tree(moto_lab.folder) == before
    assert set(operations(proxy)) == {"HeadBucket"}


def test_trouble_ends_a_dry_run_as_it_would_a_real_one_and_nobody_is_told(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    missing = moto_lab.bucket_name("missing")

    no_folder = moto_lab.monitor(
        moto_lab.write_config(moto_lab.section(bucket, "sequencer_1", "not_there")), "--dry-run"
    )
    no_bucket = moto_lab.monitor(moto_lab.write_config(moto_lab.section(missing)), "--dry-run")

    assert (no_folder.exit_code, no_bucket.exit_code) == (3, 1)
    assert f"{run} would be uploaded to {bucket}:{run.name}" in no_folder.stdout
    assert "not_there" in no_folder.stderr
    assert missing in no_bucket.stderr
    assert moto_lab.slack.messages == []
    assert not moto_lab.log_dir.exists()
