"""Keys, parts and jobs: pure functions of names and sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_s3_upload.runs.scan import LocalFile
from async_s3_upload.transfer.messages import FileItem, KnownPart, KnownUpload, ObjectSettings
from async_s3_upload.transfer.parts import (
    MAX_PARTS,
    MULTIPART_THRESHOLD,
    PART_SIZE,
    MiB,
    Part,
    Unplannable,
    is_multipart,
    part_size,
    parts,
)
from async_s3_upload.transfer.plan import Memory, compare_job, key_for, key_prefix, plan_job, worker_count

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
GiB = 1024 * MiB
LARGEST = 5 * GiB * MAX_PARTS


def files_of(sizes: Mapping[str, int]) -> list[LocalFile]:
    """Files of these sizes; time and inode of each tell it apart."""
    return [LocalFile(name, size, 1000 + number, 2000 + number) for number, (name, size) in enumerate(sizes.items())]


@pytest.mark.parametrize(
    ("remote_path", "prefix"),
    [
        ("/", RUN_ID),
        ("", RUN_ID),
        ("//", RUN_ID),
        ("runs", f"runs/{RUN_ID}"),
        ("/runs/", f"runs/{RUN_ID}"),
        ("/a b/c", f"a b/c/{RUN_ID}"),
    ],
)
def test_keys_start_with_the_remote_path_and_the_run_without_a_leading_slash(remote_path: str, prefix: str) -> None:
    assert key_prefix(remote_path, RUN_ID) == prefix


@given(st.text("ab /", max_size=8), st.text("ab", min_size=1, max_size=3), st.text("ab/", min_size=1, max_size=6))
def test_no_key_has_a_slash_at_its_start_and_each_ends_in_the_name(remote_path: str, run_id: str, name: str) -> None:
    key = key_for(key_prefix(remote_path, run_id), name)
    assert not key.startswith("/")
    assert key.endswith(f"{run_id}/{name}")


@pytest.mark.parametrize("name", ["a b", "a+b&c?d=e#f%20", "quote'\"", "[x]{y}", "back\\slash", ".dot", "日本.bcl"])
def test_odd_names_are_part_of_the_key_exactly(name: str) -> None:
    assert key_for(RUN_ID, f"Data/{name}") == f"{RUN_ID}/Data/{name}"


@pytest.mark.parametrize("character", ["x", "é", "日"])
def test_a_key_may_have_1024_bytes_and_no_more(character: str) -> None:
    width = len(character.encode())
    name = character * ((1024 - len("run/")) // width)
    name += "x" * (1024 - len(f"run/{name}".encode()))
    assert len(key_for("run", name).encode()) == 1024
    with pytest.raises(Unplannable, match="the key is 1025 bytes long, S3 allows 1024"):
        key_for("run", name + "x")


@pytest.mark.parametrize(("prefix", "name"), [("run", "s\udce9.txt"), ("run\udcff", "plain")])
def test_a_key_that_is_no_utf8_is_refused_in_words_that_can_be_printed(prefix: str, name: str) -> None:
    with pytest.raises(Unplannable, match="is not valid UTF-8: rename the folder or file") as caught:
        key_for(prefix, name)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("size", "step"),
    [
        (1, 8 * MiB),
        (60_000_000, 8 * MiB),
        (80_000 * MiB, 8 * MiB),
        (80_000 * MiB + 1, 9 * MiB),
        (90_000 * MiB, 9 * MiB),
        (90_000 * MiB + 1, 10 * MiB),
        (LARGEST, 5 * GiB),
    ],
)
def test_parts_are_8_mib_and_grow_only_where_there_would_be_more_than_10_000(size: int, step: int) -> None:
    assert part_size(size) == step


def test_a_file_larger_than_s3_takes_is_refused() -> None:
    with pytest.raises(Unplannable, match="more than S3 takes in 10,000 parts of 5 GiB"):
        part_size(LARGEST + 1)


def test_a_file_of_60_mb_goes_in_parts_of_8_mib() -> None:
    assert is_multipart(60_000_000)
    found = list(parts(60_000_000, part_size(60_000_000)))
    assert [part.length for part in found] == [8 * MiB] * 7 + [60_000_000 - 56 * MiB]
    assert found[1] == Part(2, 8 * MiB, 8 * MiB)


def test_files_up_to_the_threshold_are_one_put() -> None:
    assert not is_multipart(0)
    assert not is_multipart(MULTIPART_THRESHOLD)
    assert is_multipart(MULTIPART_THRESHOLD + 1)


def test_a_file_without_bytes_has_no_parts() -> None:
    assert list(parts(0, PART_SIZE)) == []


SIZES = st.one_of(
    st.integers(1, 100 * MiB),
    st.integers(1, LARGEST),
    st.builds(lambda count, more: count * PART_SIZE + more, st.integers(1, MAX_PARTS + 2), st.integers(-1, 1)),
)


@given(SIZES)
@example(LARGEST)
@example(PART_SIZE * MAX_PARTS)
@example(PART_SIZE * MAX_PARTS + 1)
def test_parts_cover_the_file_exactly_within_the_limits_of_s3(size: int) -> None:
    offset, count = 0, 0
    for number, part in enumerate(parts(size, part_size(size)), 1):
        assert (part.number, part.offset) == (number, offset)
        assert 0 < part.length <= 5 * GiB
        if part.offset + part.length < size:
            assert part.length >= 5 * MiB
        offset += part.length
        count += 1
    assert offset == size
    assert count <= 10_000


@given(st.integers(1, LARGEST), st.integers(0, GiB))
def test_a_larger_file_never_has_smaller_parts(size: int, more: int) -> None:
    assert part_size(size) <= part_size(min(size + more, LARGEST))
    assert part_size(size) % MiB == 0


def test_a_job_holds_the_biggest_files_first_and_equal_ones_by_name() -> None:
    job = plan_job("bucket-a", "runs/run", "/seq/run", files_of({"b": 5, "Data/big": 70, "a": 5, "empty": 0}))
    assert tuple(job.items) == (
        FileItem(0, "/seq/run/Data/big", "runs/run/Data/big", 70, 1001, 2001),
        FileItem(1, "/seq/run/a", "runs/run/a", 5, 1002, 2002),
        FileItem(2, "/seq/run/b", "runs/run/b", 5, 1000, 2000),
        FileItem(3, "/seq/run/empty", "runs/run/empty", 0, 1003, 2003),
    )
    assert job.settings == ObjectSettings()
    assert tuple(job.names) == ("Data/big", "a", "b", "empty")
    assert (job.bucket, job.total_bytes, job.impossible) == ("bucket-a", 80, {})


def test_named_files_come_before_the_biggest() -> None:
    sizes = {"b": 5, "Data/big": 20 * MiB, "RunInfo.xml": 5, "empty": 0, "Sheet.csv": 17 * MiB, "Data/more": 30 * MiB}
    job = plan_job("b", "run", "/seq/run", files_of(sizes), first={"RunInfo.xml", "Sheet.csv", "absent"})
    assert tuple(job.names) == ("Sheet.csv", "RunInfo.xml", "Data/more", "Data/big", "b", "empty")
    assert [item.number for item in job.items] == list(range(6))
    assert [job.names[item.number] for item in job.in_parts()] == ["Sheet.csv", "Data/more", "Data/big"]


@given(st.dictionaries(st.text("abc/", min_size=1, max_size=4), st.integers(0, 40 * MiB)), st.data())
def test_in_parts_are_all_that_are_large_enough(sizes: dict[str, int], data: st.DataObject) -> None:
    first = data.draw(st.sets(st.sampled_from(sorted(sizes)))) if sizes else set()
    job = plan_job("b", "run", "/seq/run", files_of(sizes), first=first)
    assert list(job.in_parts()) == [item for item in job.items if is_multipart(item.size)]


def test_files_that_s3_cannot_take_are_named_and_the_others_are_planned() -> None:
    sizes = {"ok": 1, "x" * 2000: 1, "huge": LARGEST + 1, os.fsdecode(b"\xff"): 1}
    job = plan_job("b", "run", "/seq/run", files_of(sizes))
    assert tuple(job.names) == ("ok",)
    assert set(job.impossible) == set(sizes) - {"ok"}
    assert "2004 bytes" in job.impossible["x" * 2000]


def test_a_job_of_nothing_is_empty() -> None:
    job = plan_job("b", "run", "/seq/run", [])
    assert (tuple(job.items), tuple(job.names), job.total_bytes) == ((), (), 0)


UPLOAD = KnownUpload("id1", 70, 1000, 2000, PART_SIZE, True, (KnownPart(1, 70, "etag", None),))


def test_what_earlier_starts_left_goes_with_its_file() -> None:
    memory = Memory({"begun": UPLOAD}, stray={"lost"}, probe={"there"})
    names = ("begun", "lost", "new", "there")
    job = plan_job("b", "run", "/seq/run", files_of(dict.fromkeys(names, 70)), memory=memory)
    assert tuple(job.names) == names
    assert [item.known for item in job.items] == [UPLOAD, None, None, None]
    assert [item.stray for item in job.items] == [False, True, False, False]
    assert [item.mode for item in job.items] == ["send", "send", "send", "probe"]


def test_a_job_carries_the_settings_of_its_objects() -> None:
    settings = ObjectSettings(storage_class="STANDARD_IA")
    assert plan_job("b", "run", "/seq/run", [], settings).settings == settings


def test_a_job_that_only_compares_knows_the_remembered_part_sizes() -> None:
    job = compare_job("b", "run", "/seq/run", files_of({"big": 70, "small": 5}), {"big": 8})
    assert [(item.mode, item.part_size, item.known) for item in job.items] == [
        ("compare", 8, None),
        ("compare", None, None),
    ]
    assert tuple(job.names) == ("big", "small")


@given(st.dictionaries(st.text("ab/é\udcff", min_size=1, max_size=6), st.integers(0, LARGEST + 10), max_size=12))
def test_each_file_is_planned_under_its_number_or_impossible(sizes: dict[str, int]) -> None:
    job = plan_job("b", "run", "/seq/run", files_of(sizes))
    assert {*job.names} | {*job.impossible} == {*sizes}
    assert len(job.names) + len(job.impossible) == len(sizes)
    for number, item in enumerate(job.items):
        name = job.names[number]
        assert (item.number, item.size, item.key) == (number, sizes[name], f"run/{name}")
    planned = [item.size for item in job.items]
    assert planned == sorted(planned, reverse=True)
    assert job.total_bytes == sum(planned)


@pytest.mark.parametrize(
    ("files", "size", "cores", "workers"),
    [
        (0, 0, 8, 1),
        (1, 10**12, 8, 8),
        (1, 40 * MiB, 8, 2),
        (1, 15 * MiB, 8, 1),
        (5, 1000, 8, 1),
        (5000, 0, 8, 8),
        (150, 0, 8, 2),
        (10, 100 * MiB, 8, 4),
        (9, 1, 1, 1),
    ],
)
def test_only_as_many_workers_start_as_the_work_is_worth(files: int, size: int, cores: int, workers: int) -> None:
    assert worker_count(files, size, cores) == workers


@given(st.integers(0, 10**6), st.integers(0, 10**13), st.integers(1, 256))
def test_there_is_always_a_worker_and_never_more_than_cores_or_files_and_parts(
    files: int, size: int, cores: int
) -> None:
    assert 1 <= worker_count(files, size, cores) <= min(cores, max(files + size // (8 * MiB), 1))
