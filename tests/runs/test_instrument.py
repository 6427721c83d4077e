"""Which instrument the files and names of a run tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_s3_upload.runs.completion import look_at
from async_s3_upload.runs.instrument import UNKNOWN, Hints, Instrument, instrument_of

from .run_folders import SERIALS, make_illumina, write


def seen(folder: Path) -> Instrument:
    run = look_at(str(folder))
    assert run is not None
    return run.instrument


@pytest.mark.parametrize(("platform", "serial"), SERIALS.items())
def test_the_serial_number_in_run_info_tells_the_instrument(tmp_path: Path, platform: str, serial: str) -> None:
    assert seen(make_illumina(tmp_path, serial)) == Instrument(platform, serial)


@pytest.mark.parametrize(
    ("serial", "platform"),
    [
        ("a01295", "NovaSeq 6000"),
        ("VL00151", "NextSeq 1000/2000"),
        ("NS500336", "NextSeq 500/550"),
        ("ML-PT1-15", "MiniSeq"),
        ("HWI-M0127", "MiSeq"),
        ("SN292", "HiSeq 1000-2500"),
        ("7001450F", "HiSeq 1000-2500"),
        ("J00102", "HiSeq 3000/4000"),
        ("E00123", "HiSeq X"),
        ("A0129", "unknown instrument"),
        ("A01295X", "unknown instrument"),
    ],
)
def test_serial_numbers_are_compared_as_a_whole_and_in_any_case(serial: str, platform: str) -> None:
    assert instrument_of(Hints(serials=(serial,))).platform == platform


@pytest.mark.parametrize(
    ("application", "platform"),
    [
        ("NovaSeq Control Software", "NovaSeq 6000"),
        ("NovaSeqXPlus", "NovaSeq X"),
        ("NovaSeqXSeries Control Software", "NovaSeq X"),
        ("NextSeq 1000/2000 Control Software", "NextSeq 1000/2000"),
        ("NextSeq Control Software", "NextSeq 500/550"),
        ("MiSeq Control Software", "MiSeq"),
        ("MiSeqi100Series Control Software", "MiSeq i100"),
        ("MiniSeq Control Software", "MiniSeq"),
        ("iSeq Control Software", "iSeq 100"),
        ("HiSeq Control Software", "HiSeq"),
        ("control-software", "unknown instrument"),
    ],
)
def test_the_application_tells_the_instrument(application: str, platform: str) -> None:
    assert instrument_of(Hints(applications=(application,))).platform == platform


@pytest.mark.parametrize(
    ("flow_cell", "platform"),
    [
        ("H3WVNDSXX", "NovaSeq 6000"),
        ("H5WJJDMXX", "NovaSeq 6000"),
        ("H7CJFDRX2", "NovaSeq 6000"),
        ("22F52TLT3", "NovaSeq X"),
        ("HLFFJBGX2", "NextSeq 500/550"),
        ("000000000-ADWKV", "MiSeq"),
        ("000H02MFC", "MiniSeq"),
        ("BSE39218-1017", "iSeq 100"),
        ("HF22YBBXX", "HiSeq 3000/4000"),
        ("HJCFFALXX", "HiSeq X"),
        ("CB1TVANXX", "HiSeq 1000-2500"),
        ("HM2LNBCX2", "HiSeq 1000-2500"),
        ("AACGH3VHV", "unknown instrument"),
    ],
)
def test_the_flow_cell_tells_the_instrument_where_nothing_else_does(flow_cell: str, platform: str) -> None:
    assert instrument_of(Hints(flow_cells=(flow_cell,))).platform == platform


def test_the_application_comes_before_the_serial_number_and_that_before_the_flow_cell() -> None:
    hints = Hints(applications=("", "NovaSeqXPlus"), serials=("Pi1-9",), flow_cells=("H3WVNDSXX",))
    assert instrument_of(hints) == Instrument("NovaSeq X", "Pi1-9")
    assert instrument_of(Hints(serials=("M01270",), flow_cells=("H3WVNDSXX",))).platform == "MiSeq"


def test_the_software_of_all_hiseqs_has_one_name_so_their_serial_numbers_tell_them_apart() -> None:
    hints = Hints(applications=("HiSeq Control Software",), serials=("K00340",), software="HD 3.4.0.38")
    found = instrument_of(hints)
    assert found == Instrument("HiSeq 3000/4000", "K00340", "HD 3.4.0.38")
    assert (found.name, found.software_major) == ("HiSeq 3000/4000 HD 3.4.0.38", 3)


def test_a_run_id_gives_the_serial_number_only_where_it_looks_like_one() -> None:
    assert instrument_of(Hints(ids=("180405_NS500336_0223_AHMKJTBGX5",))) == Instrument("NextSeq 500/550", "NS500336")
    assert instrument_of(Hints(ids=("171114_MS6_24347_A_MS5534842-300V2",))) == UNKNOWN
    assert instrument_of(Hints(ids=("A01295",))) == UNKNOWN


def test_the_flow_cell_at_the_end_of_a_run_id_has_a_position_before_it() -> None:
    assert instrument_of(Hints(ids=("180725_site_0010_BH3WVNDSXX",))).platform == "NovaSeq 6000"


@pytest.mark.parametrize("name", ["RunParameters.xml", "runParameters.xml", "RUNPARAMETERS.XML"])
def test_run_parameters_give_the_version_whatever_the_case_of_their_name(tmp_path: Path, name: str) -> None:
    inside = (
        "<Setup><ApplicationVersion>2.5.0.5</ApplicationVersion>"
        "<ApplicationName>MiSeq Control Software</ApplicationName></Setup><ScannerID>M02069</ScannerID>"
    )
    run = make_illumina(tmp_path, "", parameters=inside, parameters_name=name)
    assert seen(run) == Instrument("MiSeq", "M02069", "2.5.0.5")


def test_the_novaseq_x_has_its_version_in_the_system_suite_and_first_ones_only_a_type(tmp_path: Path) -> None:
    inside = (
        "<Application>control-software</Application><SystemSuiteVersion>1.0.0.4155</SystemSuiteVersion>"
        "<InstrumentType>NovaSeqXPlus</InstrumentType><InstrumentSerialNumber>Pi1-9</InstrumentSerialNumber>"
    )
    run = make_illumina(tmp_path, "Pi1-9", parameters=inside)
    assert seen(run) == Instrument("NovaSeq X", "Pi1-9", "1.0.0.4155")
    assert seen(run).name == "NovaSeq X 1.0.0.4155"


@pytest.mark.parametrize(
    "mark", ["<CopyServiceRunId>17B5</CopyServiceRunId>", "<UcsVersion>1.5</UcsVersion>", "<UcsRunId>16</UcsRunId>"]
)
def test_run_parameters_tell_whether_the_copy_service_writes_the_folder(tmp_path: Path, mark: str) -> None:
    assert seen(make_illumina(tmp_path, "Q1", parameters=mark, name="with")).copy_service
    assert not seen(make_illumina(tmp_path, "Q1", parameters="<UcsRunId/>", name="without")).copy_service


def test_an_empty_instrument_leaves_the_word_to_the_flow_cell_and_an_empty_file_to_the_folder_s_name(
    tmp_path: Path,
) -> None:
    run = make_illumina(tmp_path, "")
    write(
        run / "RunInfo.xml",
        '<RunInfo><Run Id=""><Flowcell>H3WVNDSXX</Flowcell><Instrument> </Instrument></Run></RunInfo>',
    )
    assert seen(run) == Instrument("NovaSeq 6000")
    named = make_illumina(tmp_path, name="20231108_LH00188_0028_B22F52TLT3")
    write(named / "RunInfo.xml", "")
    assert seen(named) == Instrument("NovaSeq X", "LH00188")


def test_the_site_s_own_run_id_does_not_hide_the_serial_number(tmp_path: Path) -> None:
    run = make_illumina(tmp_path, "")
    write(
        run / "RunInfo.xml", '<RunInfo><Run Id="241217_SL-EXC_0433_B"><Instrument>LH00118</Instrument></Run></RunInfo>'
    )
    assert seen(run) == Instrument("NovaSeq X", "LH00118")
