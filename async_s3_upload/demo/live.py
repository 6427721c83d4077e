"""A made-up NovaSeq X writes a run in half a minute, and ``monitor`` uploads it meanwhile: ``demo --live``."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from async_s3_upload.demo.instrument.layouts import make_script
from async_s3_upload.demo.instrument.player import Player
from async_s3_upload.demo.instrument.script import Script
from async_s3_upload.demo.stage import BUCKET, Stage, say, stage
from async_s3_upload.text import duration_text, plural, size_text


@dataclass(frozen=True, slots=True)
class LiveShow:
    """What is played, and how fast: a run of ``run_seconds`` in ``play_seconds``, a round each ``round_seconds``."""

    total_bytes: int = 60_000_000
    cycles: int = 24
    run_seconds: float = 7200.0
    play_seconds: float = 30.0
    round_seconds: float = 3.0
    min_file_age: float = 1.5
    last_rounds: int = 5
    """Rounds in which the rest may go up once the instrument is done."""

    @property
    def speed(self) -> float:
        """Seconds of the run in each second."""
        return self.run_seconds / self.play_seconds

    def script(self) -> Script:
        """Return what the instrument does."""
        return make_script("novaseq_x", total_bytes=self.total_bytes, cycles=self.cycles, seconds=self.run_seconds)


LIVE = LiveShow()


@dataclass(frozen=True, slots=True)
class Sight:
    """What lies on disk and in S3 after a round: sizes by path relative to the run."""

    on_disk: dict[str, int]
    in_s3: dict[str, int]

    @property
    def all_in_s3(self) -> bool:
        """Whether S3 has the whole folder as it is on disk."""
        return self.on_disk == self.in_s3

    @property
    def percent(self) -> float:
        """How much of the bytes on disk lies in S3."""
        there = sum(size for path, size in self.on_disk.items() if self.in_s3.get(path) == size)
        return 100.0 * there / max(1, sum(self.on_disk.values()))

    def is_early(self, marker: str) -> bool:
        """Whether the marker lies in S3 while anything else of the run does not."""
        return marker in self.in_s3 and not self.all_in_s3


def show_live(show: LiveShow = LIVE) -> int:
    """Run the live demo; returns 0 when all of the run came into the bucket, its marker not before the rest.

    Raises:
        NoServerError: the embedded server is not installed.
    """
    with stage() as set_up, tempfile.TemporaryDirectory(prefix="async-s3-upload-demo-") as folder:
        sequencer = os.path.join(folder, "sequencer_1")
        os.mkdir(sequencer)
        config = os.path.join(folder, "config.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(_config(show, folder, sequencer), file, indent=4)
        player = Player(show.script(), sequencer)
        with open(os.path.join(folder, "rounds.txt"), "w+", encoding="utf-8") as told:
            audience = _Audience(show, player, set_up, lambda: set_up.monitor(config, told))
            audience.announce()
            code = audience.watch()
            if code:
                told.seek(0)
                say(told.read())
            return code


class _Audience:
    """Plays the instrument in a thread, lets rounds begin as cron would, and tells what is to be seen."""

    def __init__(self, show: LiveShow, player: Player, set_up: Stage, monitor: Callable[[], int]) -> None:
        self._show = show
        self._player = player
        self._stage = set_up
        self._monitor = monitor
        self._marker = player.script.markers[-1]
        self._told: set[str] = set()

    def announce(self) -> None:
        show = self._show
        say(
            f"A made-up NovaSeq X writes a run of {duration_text(show.run_seconds)} in {show.play_seconds:g} s:"
            f" {self._player.script.run_id}, {size_text(show.total_bytes)}."
        )
        say(f"`monitor` runs each {show.round_seconds:g} s, with upload_in_progress; bucket {BUCKET} is empty.\n")
        say(f"{'run time':>9}  {'cycle':>5}  {'on disk':>21}  {'in S3':>21}")

    def watch(self) -> int:
        stop = threading.Event()
        writing = threading.Thread(
            target=lambda: self._player.replay(self._show.speed, wait=stop.wait, is_stopped=stop.is_set), daemon=True
        )
        writing.start()
        try:
            return self._rounds()
        finally:
            stop.set()
            writing.join()

    def _rounds(self) -> int:
        last_rounds = 0
        while last_rounds < self._show.last_rounds:
            begun = time.monotonic()
            last_rounds += self._player.is_over
            code = self._monitor()
            sight = self._look()
            self._tell(sight)
            if code:
                say(f"\nNOT good: monitor ended with exit code {code}.")
                return 1
            if sight.is_early(self._marker):
                say(f"\nNOT good: {self._marker} lies in S3 before the rest of the run.")
                return 1
            if self._player.is_over and sight.all_in_s3:
                files = plural(len(sight.on_disk), "file")
                say(f"\nAll {files} of the run are in S3, {self._marker} came last.")
                return 0
            time.sleep(max(0.0, begun + self._show.round_seconds - time.monotonic()))
        say(f"\nNOT all files of the run are in S3 after {plural(last_rounds, 'round')} more.")
        return 1

    def _look(self) -> Sight:
        """Look into S3 first: what comes on disk meanwhile is then only not there yet."""
        prefix = f"runs/{self._player.script.run_id}/"
        in_s3 = {key.removeprefix(prefix): size for key, size in self._stage.objects().items()}
        return Sight(_sizes(self._player.folder), in_s3)

    def _tell(self, sight: Sight) -> None:
        done = self._player.done
        at = self._player.script.steps[max(0, done - 1)].at
        cycle = f"{cycle_after(self._player.script, done)}/{self._show.cycles}"
        say(
            f"{duration_text(at):>9}  {cycle:>5}  {_amount(sight.on_disk):>21}  {_amount(sight.in_s3):>21}"
            f"  {sight.percent:3.0f} %"
        )
        for place, files in (("the instrument has written", sight.on_disk), ("S3 has", sight.in_s3)):
            for name in self._player.script.markers:
                if name in ("RTAComplete.txt", self._marker) and name in files and f"{place} {name}" not in self._told:
                    self._told.add(f"{place} {name}")
                    say(f"{'':>18}{place} {name}")


def _config(show: LiveShow, folder: str, sequencer: str) -> dict[str, Any]:
    return {
        "max_cores": 2,
        "max_threads": 8,
        "log_dir": os.path.join(folder, "log"),
        "monitor": [
            {
                "monitored_directories": [sequencer],
                "bucket": BUCKET,
                "remote_path": "/runs",
                "upload_in_progress": True,
                "min_file_age": show.min_file_age,
            }
        ],
    }


def _sizes(folder: str) -> dict[str, int]:
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                found[os.path.relpath(path, folder)] = os.path.getsize(path)
            except FileNotFoundError:  # it has got its own name meanwhile
                continue
    return found


def cycle_after(script: Script, steps: int) -> int:
    """Return the cycle that an Illumina instrument is at after so many steps; 0 before the first."""
    found = 0
    for step in script.steps[:steps]:
        folder = step.path.rpartition("/")[0].rpartition("/")[2]
        if folder.startswith("C") and folder.endswith(".1"):
            found = max(found, int(folder[1:-2]))
    return found


def _amount(files: dict[str, int]) -> str:
    return f"{plural(len(files), 'file')} {size_text(sum(files.values())):>7}"
