"""Playing a script into a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from async_s3_upload.demo.instrument.layouts import LAYOUTS, make_script
from async_s3_upload.demo.instrument.player import Player
from async_s3_upload.demo.instrument.script import Script
from tests.e2e.lab import files_below


def script(layout: str = "novaseq_x") -> Script:
    return make_script(layout, total_bytes=200_000, cycles=5, seconds=100, late_logs=True)


def sizes(folder: str) -> dict[str, int]:
    return {name: len(content) for name, content in files_below(Path(folder)).items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_after_each_step_the_folder_holds_what_the_script_says(tmp_path: Path, layout: str) -> None:
    player = Player(script(layout), str(tmp_path))
    seen: dict[str, int] = {}
    while not player.is_over:
        step = player.step()
        seen.pop(step.source, None)
        seen[step.path] = os.path.getsize(os.path.join(player.folder, step.path))
        if player.done % 50 == 0 or player.is_over:
            assert seen == sizes(player.folder) == player.script.sizes_after(player.done)


def test_the_same_script_gives_the_same_bytes_and_no_two_files_are_equal(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        player = Player(script(), str(tmp_path / name))
        player.play_to_end()
        found.append(files_below(Path(player.folder)))
    assert found[0] == found[1]
    calls = [content for path, content in found[0].items() if path.endswith(".cbcl")]
    assert len(set(calls)) == len(calls) == 80


def test_a_file_that_is_written_anew_has_other_bytes(tmp_path: Path) -> None:
    player = Player(script(), str(tmp_path))
    path = Path(player.folder, "InterOp/ErrorMetricsOut.bin")
    contents = []
    while not player.is_over:
        if player.step().path == "InterOp/ErrorMetricsOut.bin":
            contents.append(path.read_bytes())
    assert len(contents) == 6
    assert not contents[1].startswith(contents[0])


def test_it_plays_up_to_a_step_and_goes_on_from_there(tmp_path: Path) -> None:
    player = Player(script(), str(tmp_path))
    assert player.script.completes_at is not None
    player.play_through(player.script.completes_at)
    assert player.done == player.script.completes_at + 1
    player.play_to_end()
    assert player.is_over
    with pytest.raises(IndexError):
        player.step()


def test_files_have_the_times_of_a_run_that_began_then(tmp_path: Path) -> None:
    player = Player(script(), str(tmp_path), begun_at=1_700_000_000.0)
    while not player.is_over:
        step = player.step()
        assert os.stat(os.path.join(player.folder, step.path)).st_mtime == pytest.approx(1_700_000_000 + step.at)


class Clock:
    """A clock that goes only while one waits, and somewhat further than asked for."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 50.0
        self.waits: list[float] = []
        self._late = late

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds + self._late


@pytest.mark.parametrize("late", [0.0, 0.7])
def test_time_is_compressed_and_being_late_does_not_add_up(tmp_path: Path, late: float) -> None:
    clock = Clock(late)
    player = Player(script(), str(tmp_path))
    player.replay(10, clock=clock, wait=clock.wait)
    assert player.is_over
    assert clock.now - 50 == pytest.approx(10.5, abs=0.01 + late)  # late logs come after 5 % more than the 100 s
    assert min(clock.waits) > 0


def test_it_stops_when_told_and_can_go_on(tmp_path: Path) -> None:
    clock = Clock()
    player = Player(script(), str(tmp_path))
    player.replay(10, clock=clock, wait=clock.wait, is_stopped=lambda: clock.now >= 55)
    assert 0.4 < player.done / len(player.script.steps) < 0.6
    player.replay(10, clock=clock, wait=clock.wait)
    assert player.is_over
    assert clock.now - 50 == pytest.approx(10.5, abs=0.5)
