"""Which run folders lie in a monitored folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.runs.completion import CompletionRules
from async_s3_upload.runs.discover import find_runs


def make_run(parent: Path, name: str, *, marker: str | None = "CopyComplete.txt") -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    (folder / "RunInfo.xml").touch()
    if marker:
        (folder / marker).touch()
    return folder


def denying(real: Callable[..., Any], denied: Path) -> Callable[..., Any]:
    """A system call that lacks the permission for one path."""

    def call(path: Any, *args: Any, **kwargs: Any) -> Any:
        if os.fspath(path) == str(denied):
            raise PermissionError(13, "Permission denied", str(denied))
        return real(path, *args, **kwargs)

    return call


def test_runs_come_in_the_order_of_their_names_with_how_far_they_are(tmp_path: Path) -> None:
    make_run(tmp_path, "run_c", marker=None)
    make_run(tmp_path, "run_a")
    make_run(tmp_path, "run_b", marker="RTAComplete.xml")
    found = find_runs(str(tmp_path))
    assert [(run.run_id, *run.verdict.markers) for run in found.runs] == [
        ("run_a", "CopyComplete.txt"),
        ("run_b", "RTAComplete.xml"),
        ("run_c",),
    ]
    assert [run.path for run in found.runs] == [str(tmp_path / name) for name in ("run_a", "run_b", "run_c")]
    assert found.problems == []


def test_sub_folders_that_are_no_runs_are_counted_and_files_are_not(tmp_path: Path) -> None:
    make_run(tmp_path, "run")
    (tmp_path / "Temp").mkdir()
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / "RunInfo.xml").touch()
    found = find_runs(str(tmp_path))
    assert ([run.run_id for run in found.runs], found.others) == (["run"], 2)


def test_only_immediate_sub_folders_are_looked_at(tmp_path: Path) -> None:
    make_run(tmp_path / "2024", "deep")
    make_run(tmp_path, "run")
    make_run(tmp_path / "run", "inner")
    found = find_runs(str(tmp_path))
    assert ([run.run_id for run in found.runs], found.others) == (["run"], 1)


def test_an_empty_folder_holds_no_runs_and_no_problems(tmp_path: Path) -> None:
    found = find_runs(str(tmp_path))
    assert (found.runs, found.others, found.problems) == ([], 0, [])


def test_paths_are_normalised_so_that_a_run_has_one_identity(tmp_path: Path) -> None:
    make_run(tmp_path, "run")
    found = find_runs(f"{tmp_path}/./x/..//")
    assert [run.path for run in found.runs] == [str(tmp_path / "run")]


def test_links_to_run_folders_are_looked_at_under_their_own_name(tmp_path: Path) -> None:
    monitored = tmp_path / "monitored"
    monitored.mkdir()
    (monitored / "linked").symlink_to(make_run(tmp_path, "elsewhere"))
    found = find_runs(str(monitored))
    assert [(run.run_id, run.path) for run in found.runs] == [("linked", str(monitored / "linked"))]


def test_links_that_lead_nowhere_or_in_circles_are_no_runs(tmp_path: Path) -> None:
    make_run(tmp_path, "run")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "broken").symlink_to("missing")
    found = find_runs(str(tmp_path))
    assert ([run.run_id for run in found.runs], found.others, found.problems) == (["run"], 0, [])


def test_a_missing_monitored_folder_is_a_problem_that_names_it(tmp_path: Path) -> None:
    found = find_runs(str(tmp_path / "unmounted"))
    assert found.runs == []
    assert found.problems == [
        f"monitored folder {tmp_path}/unmounted cannot be read: No such file or directory; "
        "check that it exists, is mounted and that this user may list it"
    ]


def test_a_file_in_place_of_the_monitored_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (problem,) = find_runs(str(tmp_path / "file")).problems
    assert "cannot be read: Not a directory" in problem


def test_an_unreadable_monitored_folder_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", denying(os.scandir, tmp_path))
    (problem,) = find_runs(str(tmp_path)).problems
    assert problem.startswith(f"monitored folder {tmp_path} cannot be read: Permission denied;")


def test_a_sub_folder_that_cannot_be_looked_into_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run_a", "run_b", "run_c"):
        make_run(tmp_path, name)
    monkeypatch.setattr(os, "stat", denying(os.stat, tmp_path / "run_b" / "RunInfo.xml"))
    found = find_runs(str(tmp_path))
    assert [run.run_id for run in found.runs] == ["run_a", "run_c"]
    assert found.others == 0
    assert found.problems == [f"{tmp_path}/run_b cannot be looked into: Permission denied"]


def test_names_that_are_no_utf8_are_found_and_written_with_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"run_\xff")
    make_run(tmp_path, name)
    assert [run.run_id for run in find_runs(str(tmp_path)).runs] == [name]
    monkeypatch.setattr(os, "stat", denying(os.stat, tmp_path / name / "RunInfo.xml"))
    (problem,) = find_runs(str(tmp_path)).problems
    assert problem == f"{tmp_path}/run_\\xff cannot be looked into: Permission denied"


@pytest.fixture
def promethion(tmp_path: Path) -> Path:
    """Runs nested below groups and samples, as Nanopore and PacBio nest them."""
    for group, sample in (("g1", "s1"), ("g1", "s2"), ("g2", "s1"), (".hidden", "s")):
        make_run(tmp_path / group / sample, f"run_{group}_{sample}")
    (tmp_path / "g3").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def test_a_star_stands_for_every_folder_there_on_each_call(promethion: Path) -> None:
    pattern = f"{promethion}/*/*"
    assert [run.run_id for run in find_runs(pattern).runs] == ["run_g1_s1", "run_g1_s2", "run_g2_s1"]
    make_run(promethion / "g3" / "s9", "run_g3_s9")
    found = find_runs(pattern)
    assert [run.run_id for run in found.runs] == ["run_g1_s1", "run_g1_s2", "run_g2_s1", "run_g3_s9"]
    assert (found.problems, found.others) == ([], 0)


def test_a_star_may_stand_in_the_middle_and_its_folders_need_not_have_the_rest(promethion: Path) -> None:
    found = find_runs(f"{promethion}/*/s1")
    assert [run.run_id for run in found.runs] == ["run_g1_s1", "run_g2_s1"]
    assert found.problems == []


def test_a_folder_named_star_is_meant_as_it_stands(promethion: Path) -> None:
    make_run(promethion / "*" / "s1", "literal")
    assert [run.run_id for run in find_runs(f"{promethion}/*/s1").runs] == ["literal"]
    assert [run.run_id for run in find_runs(f"{promethion}/*/*").runs] == ["literal"]


def test_part_of_a_name_is_no_wildcard(promethion: Path) -> None:
    (problem,) = find_runs(f"{promethion}/g*").problems
    assert f"{promethion}/g* cannot be read: No such file or directory" in problem


def test_a_star_that_stands_for_nothing_is_no_problem_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    found = find_runs(f"{tmp_path}/*/*")
    assert (found.runs, found.others, found.problems) == ([], 0, [])
    assert caplog.messages == [f"monitored folder {tmp_path}/*/* stands for no folder at the moment"]


def test_a_star_in_a_folder_that_is_missing_is_a_problem_that_names_it(tmp_path: Path) -> None:
    (problem,) = find_runs(f"{tmp_path}/unmounted/*/*").problems
    assert problem.startswith(f"monitored folder {tmp_path}/unmounted cannot be read: No such file or directory;")


def test_a_folder_below_a_star_that_cannot_be_read_is_a_problem_and_the_others_go_on(
    promethion: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "scandir", denying(os.scandir, promethion / "g1"))
    found = find_runs(f"{promethion}/*/*")
    assert [run.run_id for run in found.runs] == ["run_g2_s1"]
    (problem,) = found.problems
    assert problem.startswith(f"monitored folder {promethion}/g1 cannot be read: Permission denied;")


def test_a_run_that_two_paths_lead_to_is_found_once(promethion: Path) -> None:
    seen: set[str] = set()
    first = find_runs(f"{promethion}/*/*", seen=seen)
    second = find_runs(f"{promethion}/g1/*", seen=seen)
    assert (len(first.runs), second.runs, second.others) == (3, [], 0)


def test_runs_are_judged_by_the_rules_given(tmp_path: Path) -> None:
    make_run(tmp_path, "240101_A01295_0001_AHV7TDRXY", marker="RTAComplete.txt")
    (by_instrument,) = find_runs(str(tmp_path)).runs
    (by_any,) = find_runs(str(tmp_path), CompletionRules("any")).runs
    assert (by_instrument.verdict.state, by_any.verdict.state) == ("running", "complete")
