"""Runs that go up while made-up instruments write them: the marker is in S3 when all the rest is, whatever happens."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.demo.instrument.layouts import LAYOUTS, make_script
from async_s3_upload.demo.instrument.player import Player
from async_s3_upload.demo.instrument.script import Script
from tests.support.s3requests import on
from tests.support.watcher import MarkerWatcher, writes_after_marker

from .lab import Lab, keys_put

writes = on("PutObject", "CompleteMultipartUpload")
MIN_FILE_AGE = 600
IN_PROGRESS: dict[str, Any] = {"upload_in_progress": True, "min_file_age": MIN_FILE_AGE, "remote_path": "/runs"}


def played_in(lab: Lab, made: Script) -> Player:
    """Return a player of a run that began so long ago that what it writes is old enough to go up at once.

    Of what is written again throughout a run, and of temporary names, only the very first is old enough.
    """
    return Player(made, str(lab.sequencer()), begun_at=time.time() - made.seconds - MIN_FILE_AGE - 100)


def stops(made: Script) -> list[int]:
    """Return the steps to look at: the midst, RTAComplete.txt (after which some data come), and the end."""
    assert made.ends_at is not None
    rta = {index for index, step in enumerate(made.steps) if step.path == "RTAComplete.txt"}
    return sorted({len(made.steps) // 2, made.ends_at} | rta)


def ends(made: Script) -> list[str]:
    """Return the names of files that speak of an end, be it that of a read: such may go up among the last."""
    return [*made.markers, *(step.path for step in made.steps if "Netcopy_complete_Read" in step.path)]


def watcher_of(lab: Lab, bucket: str, made: Script) -> MarkerWatcher:
    """Return a watcher for the run."""
    return MarkerWatcher(lab.server, bucket, f"runs/{made.run_id}", ends(made), made.markers[-1:])


def in_s3(lab: Lab, bucket: str, made: Script) -> set[str]:
    """Return the names of the run's files in the bucket."""
    prefix = f"runs/{made.run_id}/"
    return {key.removeprefix(prefix) for key in lab.server.objects(bucket) if key.startswith(prefix)}


def is_ordinary(name: str) -> bool:
    """Say whether a file is written once, so that it goes up as soon as it is old enough."""
    return "/BaseCalls/" in name or name.endswith(".txt")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_goes_up_while_it_is_written_and_its_markers_come_last(lab: Lab, layout: str) -> None:
    made = make_script(layout, total_bytes=300_000, cycles=4, late_logs=True)
    assert made.completes_at is not None
    bucket, player = lab.bucket(), played_in(lab, made)
    run = Path(player.folder)
    config = lab.write_config(lab.section(bucket, **IN_PROGRESS))
    proxy = lab.behind()

    with watcher_of(lab, bucket, made) as watcher:
        for index in stops(made):
            player.play_through(index)
            done = lab.monitor(config)
            assert done.exit_code == 0, done.stderr
            complete = index == made.completes_at
            assert lab.run_log(run)["completed"] is complete
            there = in_s3(lab, bucket, made)
            assert len(there) > len(made.sizes_after(index)) / 2
            assert set(made.markers) & there == (set(made.markers) if complete else set())
        watcher.look()
        assert writes_after_marker(proxy.seen, ends(made)) == []
        assert keys_put(proxy)[-1].endswith(f"/{made.markers[-1]}")
        player.play_to_end()
        done = lab.monitor(config)
        assert done.exit_code == 0, done.stderr
        watcher.look()

    late = {step.path for step in made.steps[made.completes_at + 1 :]}
    assert watcher.early(run, late=late) == []
    assert watcher.differing(run) == []


@pytest.mark.parametrize("seed", range(2))
def test_no_marker_is_early_although_every_round_is_killed(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    made = make_script("novaseq_6000", total_bytes=200_000, cycles=6)
    bucket, player = lab.bucket(), played_in(lab, made)
    run = Path(player.folder)
    config = lab.write_config(lab.section(bucket, **IN_PROGRESS))
    proxy = lab.behind()

    with watcher_of(lab, bucket, made) as watcher:
        for index in [*stops(made), *[len(made.steps) - 1] * 2]:
            player.play_through(index)
            wanted = set(made.sizes_after(index + 1)) - (set(made.markers) if index != made.completes_at else set())
            left = {name for name in wanted - in_s3(lab, bucket, made) if is_ordinary(name)}
            if not left:
                continue
            proxy.forget()
            with lab.start_monitor(config):
                proxy.wait_for(writes, times=chance.randint(1, len(left)))  # the end of `with` is a kill -9
        watcher.look()
        assert lab.monitor(config).exit_code == 0
        watcher.look()

    assert lab.run_log(run)["completed"] is True
    assert watcher.early(run) == []
    assert watcher.differing(run) == []


def test_the_markers_of_a_run_that_failed_on_the_instrument_do_not_go_up(lab: Lab) -> None:
    made = make_script("novaseq_x", total_bytes=200_000, cycles=6, ending="failed")
    bucket, player = lab.bucket(), played_in(lab, made)
    config = lab.write_config(lab.section(bucket, **IN_PROGRESS))

    player.play_through(len(made.steps) // 2)
    assert lab.monitor(config).exit_code == 0
    player.play_to_end()
    lab.monitor(config)

    there = in_s3(lab, bucket, made)
    assert there
    assert not set(made.markers) & there
    assert lab.run_log(Path(player.folder))["completed"] is False
