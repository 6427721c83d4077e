"""Files of real instruments, which are other people's: read in place where REALDATA names their folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from async_s3_upload.runs.completion import RunFolder, look_at
from async_s3_upload.runs.instrument import UNKNOWN

FOLDER = os.environ.get("REALDATA", "")
PLATFORMS = {
    "hiseq2000": "HiSeq 1000-2500",
    "hiseq2500": "HiSeq 1000-2500",
    "hiseq4000": "HiSeq 3000/4000",
    "hiseqx": "HiSeq X",
    "iseq100": "iSeq 100",
    "miniseq": "MiniSeq",
    "miseq": "MiSeq",
    "nextseq2000": "NextSeq 1000/2000",
    "nextseq500": "NextSeq 500/550",
    "novaseq": "NovaSeq 6000",
    "novaseq6000": "NovaSeq 6000",
    "novaseqx": "NovaSeq X",
    "aviti": "Element AVITI",
}
"""By the start of a file's name."""

pytestmark = pytest.mark.skipif(not FOLDER, reason="REALDATA names no folder")


def names(kind: str) -> list[str]:
    return sorted(os.listdir(Path(FOLDER) / kind)) if FOLDER else [""]


def look(folder: Path) -> RunFolder:
    run = look_at(str(folder))
    assert run is not None
    return run


@pytest.mark.parametrize("name", names("runinfo"))
def test_each_real_run_info_alone_tells_its_instrument(tmp_path: Path, name: str) -> None:
    shutil.copy(Path(FOLDER) / "runinfo" / name, tmp_path / "RunInfo.xml")
    assert look(tmp_path).instrument.platform == PLATFORMS[name.partition("_")[0]]


@pytest.mark.parametrize("name", names("runparameters"))
def test_each_real_run_parameters_tells_its_instrument_without_run_info(tmp_path: Path, name: str) -> None:
    is_json = name.endswith(".json")
    if not is_json:
        (tmp_path / "RunInfo.xml").touch()
    shutil.copy(Path(FOLDER) / "runparameters" / name, tmp_path / f"RunParameters.{'json' if is_json else 'xml'}")
    instrument = look(tmp_path).instrument
    assert instrument.platform == PLATFORMS[name.partition("_")[0]]
    if not is_json and "no_versions" not in name and "minimal" not in name:
        assert instrument.software is not None
        numbers = [part for part in Path(name).stem.split("_runparameters_")[1].split("_") if part.isdigit()]
        assert ".".join(numbers[:-1]) in instrument.software


@pytest.mark.parametrize("name", names("completion"))
def test_each_real_completion_file_ends_a_run_or_does_not(tmp_path: Path, name: str) -> None:
    kind = name.split("_", 1)[1].removesuffix(Path(name).suffix).rsplit("_", 1)[0]
    source = Path(FOLDER) / "completion" / name
    (tmp_path / "RunInfo.xml").touch()
    for marker in ("RTAComplete", "CopyComplete", "RTARead1Complete", "RTARead3Complete", "RTARead4Complete"):
        if kind.endswith(marker) or f"{marker}_" in f"{kind}_":
            shutil.copy(source, tmp_path / f"{marker}{source.suffix}")
    if "RunCompletionStatus" in kind:
        shutil.copy(source, tmp_path / "RunCompletionStatus.xml")
    assert look(tmp_path).instrument == UNKNOWN
    late = look_at(str(tmp_path), now=source.stat().st_mtime + 10**9)
    assert late is not None
    ends = "RTAComplete" in kind or "CopyComplete" in kind
    assert late.verdict.state == ("complete" if ends else "running")


@pytest.mark.parametrize("name", ["aviti_RunUploaded_completed_01.json", "aviti24_RunUploaded_cytoprofiling_01.json"])
def test_real_avitis_end_completed(tmp_path: Path, name: str) -> None:
    shutil.copy(
        Path(FOLDER) / "runparameters" / "aviti_runparameters_sequencing_01.json", tmp_path / "RunParameters.json"
    )
    assert look(tmp_path).verdict.state == "running"
    shutil.copy(Path(FOLDER) / "completion" / name, tmp_path / "RunUploaded.json")
    assert look(tmp_path).verdict.state == "complete"


@pytest.mark.parametrize(
    ("listing", "run_info", "parameters", "without"),
    [
        ("novaseqx_fixture", "novaseqx_runinfo_v6_01", "novaseqx_runparameters_1_2_2_01", "CopyComplete.txt"),
        ("nextseq500_fixture", "nextseq500_runinfo_v4_01", "nextseq500_runparameters_2_1_01", "RTAComplete.txt"),
        ("miseq_fixture", "miseq_runinfo_v2_01", "miseq_runparameters_2_5_03", "RTAComplete.txt"),
    ],
)
def test_real_folders_are_complete_with_their_marker_and_go_on_without_it(
    tmp_path: Path, listing: str, run_info: str, parameters: str, without: str
) -> None:
    for line in (Path(FOLDER) / "listings" / f"{listing}_run_folder_ls_01.tsv").read_text("utf-8").splitlines():
        file = tmp_path / line.split("\t")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    shutil.copy(Path(FOLDER) / "runinfo" / f"{run_info}.xml", tmp_path / "RunInfo.xml")
    shutil.copy(Path(FOLDER) / "runparameters" / f"{parameters}.xml", tmp_path / "RunParameters.xml")
    assert look(tmp_path).verdict.state == "complete"
    (tmp_path / without).unlink()
    assert look(tmp_path).verdict.state == "running"
