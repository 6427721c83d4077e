"""`sample_regex`: a run goes up where all its samples match, and is named with the reason where not."""

from .lab import Lab, success

V2_SHEET = b"""[Header],,
FileFormatVersion,2,
[BCLConvert_Settings],,
SoftwareVersion,4.1.23,
[BCLConvert_Data],,
Lane,Sample_ID,Index
1,sample_1_assay_1,ACGT
[Cloud_Data],,
Sample_ID,ProjectName,LibraryName
sample_1_assay_1,project,library
"""


def test_only_runs_all_of_whose_samples_match_go_up(lab: Lab) -> None:
    bucket = lab.bucket()
    wanted = lab.make_run(1, samples=["s1_assay_1", "s2_assay_2"])
    one_not = lab.make_run(2, samples=["s1_assay_1", "other"])
    none = lab.make_run(3, samples=["other", "another"])
    no_sheet = lab.make_run(4)
    (no_sheet / "SampleSheet.csv").unlink()
    differing = lab.make_run(5, samples=["s1_assay_1"])
    (differing / "samplesheet_2.csv").write_text("[Data]\nSample_ID\ns3_assay_1\n")

    done = lab.monitor(lab.write_config(lab.section(bucket, sample_regex="_assay_(1|2)$")), "--json")

    assert done.exit_code == 0, done.stderr
    assert {row["run_id"]: (row["state"], row["reason"]) for row in done.json["runs"]} == {
        wanted.name: ("uploaded", "new"),
        one_not.name: ("skipped", "samples_do_not_match"),
        none.name: ("skipped", "samples_do_not_match"),
        no_sheet.name: ("skipped", "no_sample_sheet"),
        differing.name: ("skipped", "no_sample_sheet"),
    }
    assert {key.partition("/")[0] for key in lab.server.objects(bucket)} == {wanted.name}
    lab.assert_in_bucket(wanted, bucket, wanted.name)
    assert lab.slack.texts() == [success(wanted)]
    named = {line for line in done.stderr.splitlines() for run in (no_sheet, differing) if run.name in line}
    assert any("no sample sheet" in line for line in named)
    assert any("differ" in line for line in named)


def test_without_a_regex_no_sheet_is_needed_and_differing_ones_do_not_matter(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    no_sheet, differing = moto_lab.make_run(1), moto_lab.make_run(2)
    (no_sheet / "SampleSheet.csv").unlink()
    (differing / "samplesheet.csv").write_bytes(b"\xff\xfe\x00")

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(no_sheet, bucket, no_sheet.name)
    moto_lab.assert_in_bucket(differing, bucket, differing.name)


def test_a_v2_sheet_does_not_crash_with_a_regex_and_none_is_needed_without(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    strict, free = moto_lab.make_run(1, sequencer="strict"), moto_lab.make_run(2, sequencer="free")
    for run in (strict, free):
        (run / "SampleSheet.csv").write_bytes(V2_SHEET)
    config = moto_lab.write_config(
        moto_lab.section(bucket, "strict", sample_regex="_assay_1$"), moto_lab.section(bucket, "free")
    )

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert {row["run_id"] for row in done.json["runs"]} == {strict.name, free.name}
    moto_lab.assert_in_bucket(free, bucket, free.name)
