import dataclasses
import hashlib
import os
import zlib

import pytest

from async_s3_upload.demo.run_folder import BIG, DEMO, MIB, SMALL, TINY, RunShape, make_run_folder

MISEQ = RunShape("150602_M01270_0108_000000000-ADWKV", 200, 500, instrument="miseq")


def contents(folder: str) -> dict[str, str]:
    """Each file's relative path and digest."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: os.PathLike[str]) -> None:
    first, second, other = (
        contents(make_run_folder(os.path.join(tmp_path, name), TINY, seed))
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert first == second
    assert first.keys() == other.keys()
    assert first != other


@pytest.mark.parametrize("shape", [TINY, MISEQ, dataclasses.replace(TINY, big_files=3, big_bytes=100_000)])
def test_it_holds_as_many_files_as_the_shape_says(tmp_path: os.PathLike[str], shape: RunShape) -> None:
    found = contents(make_run_folder(str(tmp_path), shape))
    assert len(found) == shape.files
    found = {path: digest for path, digest in found.items() if digest != hashlib.sha256().hexdigest()}
    assert len(set(found.values())) == len(found), "no two files with anything in them are the same"


def test_the_presets_have_the_sizes_they_are_known_by() -> None:
    assert SMALL.files == 5003
    assert (BIG.big_files, BIG.big_bytes) == (160, 16 * MIB)
    assert DEMO.big_bytes == 20 * MIB
    assert DEMO.files == 60


def test_small_sizes_lie_around_their_mean_and_do_not_compress(tmp_path: os.PathLike[str]) -> None:
    folder = make_run_folder(str(tmp_path), RunShape("240117_A01295_0314_BHT7WNDRX3", 600, 3000))
    names = [os.path.join(parent, name) for parent, _, all_names in os.walk(folder) for name in all_names]
    sizes = [os.path.getsize(name) for name in names]
    assert 2700 < sum(sizes) / len(sizes) < 3300
    with open(max(names, key=os.path.getsize), "rb") as file:
        data = file.read()
    assert len(zlib.compress(data)) > 0.95 * len(data)


def test_the_names_are_those_of_a_novaseq(tmp_path: os.PathLike[str]) -> None:
    shape = dataclasses.replace(TINY, big_files=5, big_bytes=50_000)
    folder = make_run_folder(str(tmp_path), shape)
    found = contents(folder)
    assert found.keys() >= {
        "RunInfo.xml",
        "RunParameters.xml",
        "SampleSheet.csv",
        ".transfer_state",
        "InterOp/QMetricsOut.bin",
        "Data/Intensities/BaseCalls/L001/C1.1/L001_1.cbcl",
        "Data/Intensities/BaseCalls/L002/C2.1/L002_1.cbcl",
        "Data/Intensities/BaseCalls/L001/s_1_1101.filter",
        "Thumbnail_Images/L001/C1.1/s_1_1101_green.jpg",
        "RTAComplete.txt",
        "CopyComplete.txt",
    }
    assert os.path.getsize(os.path.join(folder, "Data/Intensities/BaseCalls/L002/C1.1/L002_2.cbcl")) == 50_000
    assert os.path.getsize(os.path.join(folder, "RTALogs/20240120-1102_WarningLog_00.tsv")) == 0
    with open(os.path.join(folder, "RunInfo.xml"), encoding="utf-8") as file:
        assert f'<Run Id="{TINY.run_id}" Number="317">' in file.read()


def test_a_miseq_ends_with_rta_complete_alone(tmp_path: os.PathLike[str]) -> None:
    found = contents(make_run_folder(str(tmp_path), MISEQ))
    assert "RTAComplete.txt" in found
    assert "CopyComplete.txt" not in found
    assert "Data/Intensities/BaseCalls/L001/C1.1/s_1_1101.bcl" in found


def test_the_markers_are_written_last(tmp_path: os.PathLike[str]) -> None:
    folder = make_run_folder(str(tmp_path), TINY)
    written = {
        name: os.stat(os.path.join(parent, name)).st_mtime_ns for parent, _, names in os.walk(folder) for name in names
    }
    last = written.pop("CopyComplete.txt")
    before_last = written.pop("RTAComplete.txt")
    assert max(written.values()) <= before_last <= last


def test_the_sample_sheet_lists_the_samples(tmp_path: os.PathLike[str]) -> None:
    folder = make_run_folder(str(tmp_path), dataclasses.replace(TINY, samples=("one_CEN", "two_CEN")))
    with open(os.path.join(folder, "SampleSheet.csv"), encoding="utf-8") as file:
        head, _, data = file.read().partition("[Data]\n")
    assert head.startswith("[Header]\nIEMFileVersion,4\n")
    assert data == (
        "Sample_ID,Sample_Name,Sample_Well,Index_ID\none_CEN,one_CEN,A1,UDP0001\ntwo_CEN,two_CEN,A2,UDP0002\n"
    )


def test_a_sparse_folder_has_sizes_but_no_blocks(tmp_path: os.PathLike[str]) -> None:
    folder = make_run_folder(str(tmp_path), dataclasses.replace(TINY, big_files=1, big_bytes=64 * MIB, sparse=True))
    big = os.stat(os.path.join(folder, "Data/Intensities/BaseCalls/L001/C1.1/L001_1.cbcl"))
    assert big.st_size == 64 * MIB
    assert big.st_blocks * 512 < MIB


def test_what_is_there_already_is_not_written_over(tmp_path: os.PathLike[str]) -> None:
    make_run_folder(str(tmp_path), TINY)
    with pytest.raises(FileExistsError):
        make_run_folder(str(tmp_path), TINY)


def test_too_few_files_for_a_run_is_an_error(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(ValueError, match="at least 13 small files"):
        make_run_folder(str(tmp_path), dataclasses.replace(TINY, small_files=12))
    assert os.listdir(tmp_path) == []
