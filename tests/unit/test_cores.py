"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.transfer.cores import available_cores, parse_quota


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def cores(root: Path, own: str | None = None) -> int:
    """The cores within a tree of cgroups, for a process in the group that ``own`` tells."""
    own_file = root.parent / "own"
    if own is not None:
        own_file.write_text(own)
    return available_cores(str(root), str(own_file))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cgroup"
    folder.mkdir()
    return folder


def limit(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


def limit_v1(folder: Path, quota: str, period: str = "100000") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(quota + "\n")
    (folder / "cpu.cfs_period_us").write_text(period + "\n")


def test_without_a_quota_the_affinity_counts(root: Path) -> None:
    assert cores(root) == 8
    limit(root, "max 100000\n")
    assert cores(root, "0::/\n") == 8


def test_without_affinity_the_machine_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores(root) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(root) == 1


@pytest.mark.parametrize(
    ("text", "count"), [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("6400000 100000", 8)]
)
def test_a_quota_counts_rounded_up_and_at_most_the_affinity(root: Path, text: str, count: int) -> None:
    limit(root, text)
    assert cores(root, "0::/\n") == count


def test_the_quota_of_the_own_group_and_those_above_it_count(root: Path) -> None:
    limit(root / "system.slice", "400000 100000")
    limit(root / "system.slice" / "cron.service", "max 100000")
    limit(root / "system.slice" / "other.service", "100000 100000")
    assert cores(root, "0::/system.slice/cron.service\n") == 4
    limit(root / "system.slice" / "cron.service", "300000 100000")
    assert cores(root, "0::/system.slice/cron.service\n") == 3


def test_the_first_version_s_quota_counts_in_a_container(root: Path) -> None:
    limit_v1(root / "cpu", "250000")
    assert cores(root, "11:memory:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n") == 3


def test_the_first_version_s_quota_counts_for_the_own_group(root: Path) -> None:
    limit_v1(root / "cpu", "-1")
    limit_v1(root / "cpu" / "system.slice" / "cron.service", "200000")
    assert cores(root, "11:memory:/other\n4:cpu,cpuacct:/system.slice/cron.service\n") == 2


@pytest.mark.parametrize("quota", ["-1", "0", ""])
def test_the_first_version_without_a_quota_is_no_limit(root: Path, quota: str) -> None:
    limit_v1(root / "cpu", quota)
    assert cores(root, "4:cpu,cpuacct:/\n") == 8


def test_files_that_make_no_sense_are_no_limit(root: Path) -> None:
    (root / "cpu.max").write_bytes(b"\xff\xff")
    assert cores(root, "what is this\n") == 8


def test_this_very_process_has_at_least_one_core() -> None:
    assert 1 <= available_cores() <= 8


@pytest.mark.parametrize("text", [None, "", "max 100000", "100000", "1 2 3", "a b", "100000 0", "-1 100000", "0 5"])
def test_what_is_no_quota_is_none(text: str | None) -> None:
    assert parse_quota(text) is None


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_a_quota_is_microseconds_a_period(quota: int, period: int) -> None:
    assert parse_quota(f"{quota} {period}\n") == quota / period
