"""When runs of Illumina instruments have ended, and whether they failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from async_s3_upload.runs.completion import CompletionRules, Verdict, look_at

from .run_folders import MINUTE, NOW, SERIALS, make_illumina, status_xml, write

COPY, RTA, RTA_XML = "CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml"
LOOK_ALIKES = [
    "RTARead1Complete.txt",
    "RTAExited.txt",
    "Basecalling_Netcopy_complete.txt",
    "Basecalling_Netcopy_complete_Read4.txt",
    "ImageAnalysis_Netcopy_complete.txt",
    "SequencingComplete.txt",
    "SequenceComplete.txt",
    "CompletedJobInfo.xml",
    "CopyComplete.txt.tmp",
]


def judged(folder: Path, rules: CompletionRules | None = None, now: float = NOW) -> Verdict:
    run = look_at(str(folder), rules or CompletionRules(), now)
    assert run is not None
    return run.verdict


def software(platform: str, version: str) -> str:
    name = f"<ApplicationName>{platform} Control Software</ApplicationName>"
    return f"{name}<ApplicationVersion>{version}</ApplicationVersion>"


BY_COPY = [
    ("NovaSeq 6000", None),
    ("NovaSeq X", None),
    ("NextSeq 1000/2000", None),
    ("MiSeq i100", None),
    ("iSeq 100", None),
    ("NextSeq 500/550", software("NextSeq", "4.0.1.41")),
    ("MiSeq", software("MiSeq", "4.0.0.1769")),
    ("MiSeq", software("MiSeq", "4.1")),
    ("MiniSeq", "<CopyServiceVersion>2.0</CopyServiceVersion>"),
    ("unknown instrument", "<UcsVersion>1.5</UcsVersion>"),
]
BY_RTA = [
    ("NextSeq 500/550", software("NextSeq", "2.1.0.31")),
    ("MiSeq", software("MiSeq", "2.5.0.5")),
    ("MiSeq", software("MiSeq", "3.1")),
    ("HiSeq 1000-2500", None),
    ("HiSeq 3000/4000", software("HiSeq", "HD 3.4.0.38")),
    ("HiSeq X", None),
]
BY_EITHER = [
    ("MiniSeq", None),
    ("unknown instrument", None),
    ("MiSeq", None),
    ("NextSeq 500/550", software("NextSeq", "")),
]


@pytest.mark.parametrize(("platform", "parameters"), BY_COPY)
def test_where_copy_complete_is_due_rta_complete_is_not_enough_however_old(
    tmp_path: Path, platform: str, parameters: str | None
) -> None:
    run = make_illumina(tmp_path, SERIALS[platform], parameters=parameters)
    write(run / RTA, " ", age_s=30 * 86400)
    seen = judged(run)
    assert (seen.state, seen.ended, seen.markers) == ("running", False, (RTA,))
    assert seen.detail == "RTAComplete.txt is there, but CopyComplete.txt is not there yet"
    assert seen.rule.endswith(": CopyComplete.txt ends a run")
    write(run / COPY, "")
    assert judged(run) == Verdict("complete", seen.rule, "complete by CopyComplete.txt", (COPY, RTA), ended=True)


@pytest.mark.parametrize("marker", [RTA, RTA_XML, "rtacomplete.TXT"])
@pytest.mark.parametrize(("platform", "parameters"), BY_RTA)
def test_where_there_is_no_copy_service_rta_complete_ends_the_run_at_once(
    tmp_path: Path, platform: str, parameters: str | None, marker: str
) -> None:
    run = make_illumina(tmp_path, SERIALS[platform], parameters=parameters)
    assert judged(run).detail == "RTAComplete.txt is not there yet"
    write(run / marker, "RTA 2.4.11 completed on 6/10/2017 2:09:31 PM\r\n", age_s=0)
    seen = judged(run)
    assert (seen.state, seen.detail, seen.markers) == ("complete", f"complete by {marker}", (marker,))
    assert seen.rule.endswith(": RTAComplete.txt or .xml ends a run")


@pytest.mark.parametrize(("platform", "parameters"), BY_EITHER)
def test_where_it_is_not_known_rta_complete_has_to_be_an_hour_old(
    tmp_path: Path, platform: str, parameters: str | None
) -> None:
    run = make_illumina(tmp_path, SERIALS[platform], parameters=parameters)
    assert judged(run).detail == "neither CopyComplete.txt nor RTAComplete.txt is there yet"
    write(run / RTA, "", age_s=59 * MINUTE)
    seen = judged(run)
    assert (seen.state, seen.markers) == ("running", (RTA,))
    assert seen.detail == "RTAComplete.txt is 59 min old, without CopyComplete.txt it counts after 60 min"
    write(run / RTA, "", age_s=60 * MINUTE)
    assert judged(run).detail == "complete by RTAComplete.txt"
    write(run / RTA, "", age_s=0)
    write(run / COPY, "", age_s=0)
    assert judged(run).detail == "complete by CopyComplete.txt"


def test_the_time_that_rta_complete_has_to_be_there_is_configured(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "Q1")
    write(run / RTA, "", age_s=10 * MINUTE)
    assert judged(run, CompletionRules(grace_s=10 * MINUTE)).state == "complete"
    seen = judged(run, CompletionRules(grace_s=10.5 * MINUTE))
    assert seen.state == "running"
    assert "once it is 10.5 min old" in seen.rule


def test_a_clock_behind_the_storage_s_makes_rta_complete_no_older(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "Q1")
    write(run / RTA, "", age_s=-600)
    assert judged(run).detail.startswith("RTAComplete.txt is 0 min old")


def test_the_rule_names_instrument_and_version(tmp_path: Path) -> None:
    inside = "<InstrumentType>NovaSeqXPlus</InstrumentType><SystemSuiteVersion>1.2.2.48004</SystemSuiteVersion>"
    run = make_illumina(tmp_path, "LH00188", COPY, parameters=inside)
    assert judged(run).rule == "NovaSeq X 1.2.2.48004: CopyComplete.txt ends a run"


@pytest.mark.parametrize("serial", ["A01295", "D00450", "Q1"])
def test_look_alikes_never_end_a_run(tmp_path: Path, serial: str) -> None:
    run = make_illumina(tmp_path, serial, *LOOK_ALIKES)
    (run / "CopyComplete.txt").mkdir()
    (run / "RTAComplete.txt").symlink_to("nowhere")
    seen = judged(run, now=NOW + 10**9)
    assert (seen.state, seen.markers) == ("running", ())


def test_two_spellings_of_a_marker_are_one_and_the_usual_one_is_named(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "A01295", "copycomplete.txt", COPY)
    assert judged(run).markers == (COPY,)


def test_run_info_in_another_case_makes_a_run(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "A01295")
    (run / "RunInfo.xml").rename(run / "runinfo.xml")
    found = look_at(str(run))
    assert found is not None
    assert (found.begun_by, found.instrument.platform) == ("runinfo.xml", "NovaSeq 6000")


FAILED = [
    (status_xml("RunStatus", "RunErrored"), "RunErrored"),
    (
        status_xml(
            "RunStatus", "RunErrored", "<RunError><Type>x</Type><Message>Data check\r\n failed</Message></RunError>"
        ),
        "RunErrored: Data check failed",
    ),
    (status_xml("RunStatus", "RunAborted"), "RunAborted"),
    (status_xml("RunStatus", "RunStopped"), "RunStopped"),
    (status_xml("CompletionStatus", "UserEndedEarly", "<ErrorDescription>None</ErrorDescription>"), "UserEndedEarly"),
    (
        status_xml(
            "CompletionStatus", "ExceptionEndedEarly", "<ErrorDescription>Thread was aborted</ErrorDescription>"
        ),
        "ExceptionEndedEarly: Thread was aborted",
    ),
]
NOT_FAILED = [
    status_xml("CompletionStatus", "CompletedAsPlanned", "<ErrorDescription>None</ErrorDescription>"),
    status_xml("CompletionStatus", "SuccessfullyCompleted"),
    status_xml("RunStatus", "RunCompleted"),
    status_xml("RunStatus", "SomethingNew"),
    "",
    "<RunCompletionStatus><RunStatus>RunErr",
]


@pytest.mark.parametrize(("status", "said"), FAILED)
def test_a_run_that_failed_on_the_instrument_says_how(tmp_path: Path, status: str, said: str) -> None:
    run = make_illumina(tmp_path, "LH00188", COPY, RTA)
    write(run / "RunCompletionStatus.xml", status)
    seen = judged(run)
    assert (seen.state, seen.ended) == ("failed", True)
    assert seen.detail == f"the instrument says that it failed: {said}"
    assert seen.markers == (COPY, RTA, "RunCompletionStatus.xml")
    assert seen.rule == "NovaSeq X: CopyComplete.txt ends a run"


@pytest.mark.parametrize("status", NOT_FAILED)
def test_a_run_whose_status_says_no_failure_is_judged_by_its_marker(tmp_path: Path, status: str) -> None:
    run = make_illumina(tmp_path, "LH00188")
    write(run / "RunCompletionStatus.xml", status)
    assert judged(run).state == "running"
    write(run / COPY, "")
    assert judged(run).state == "complete"


def test_a_failed_run_has_ended_with_its_marker_or_when_its_status_is_old_enough(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "LH00188", RTA)
    status = run / "RunCompletionStatus.xml"
    write(status, FAILED[0][0], age_s=59 * MINUTE)
    assert (judged(run).state, judged(run).ended) == ("failed", False)
    write(status, FAILED[0][0], age_s=60 * MINUTE)
    assert (judged(run).state, judged(run).ended) == ("failed", True)


def test_by_any_termination_file_a_run_ends_as_in_the_replaced_tool(tmp_path: Path) -> None:
    rules = CompletionRules("any")
    run = make_illumina(tmp_path, "LH00188")
    write(run / "RunCompletionStatus.xml", FAILED[0][0])
    assert judged(run, rules).detail == "none of CopyComplete.txt, RTAComplete.txt, RTAComplete.xml is there yet"
    write(run / RTA_XML, "")
    rule = "any of CopyComplete.txt, RTAComplete.txt, RTAComplete.xml ends a run"
    assert judged(run, rules) == Verdict("complete", rule, f"complete by {RTA_XML}", (RTA_XML,), ended=True)
    (tmp_path / "20250603_1201_3E_PAA12345_e05460c6").mkdir()
    assert look_at(str(tmp_path / "20250603_1201_3E_PAA12345_e05460c6"), rules) is None


def test_one_look_lists_the_folder_once_and_opens_three_small_files_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_illumina(tmp_path, "A01295", COPY, RTA, parameters="")
    write(run / "RunCompletionStatus.xml", status_xml("RunStatus", "RunCompleted"))
    (run / "Data" / "deep").mkdir(parents=True)
    listed: list[str] = []
    real = os.scandir

    def counted(path: str) -> os._ScandirIterator[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert judged(run).state == "complete"
    assert listed == [str(run)]
