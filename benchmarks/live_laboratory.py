"""A laboratory in compressed time: an instrument that writes a run, rounds of ``monitor`` as of cron, and a sink."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from async_s3_upload.demo.instrument.layouts import make_script
from async_s3_upload.demo.instrument.player import Player
from benchmarks.destination import SinkDestination

BUCKET = "benchmark"


@dataclass(frozen=True, slots=True)
class Setting:
    """Seconds are of the clock, not of the run, but for ``run_seconds``."""

    layout: str
    total_bytes: int
    cycles: int
    run_seconds: float
    play_seconds: float
    round_seconds: float
    min_file_age: float
    upload_seconds: float
    seed: int

    @property
    def max_bandwidth(self) -> str:
        """The rate with which the whole run takes ``upload_seconds``, as the config has it."""
        return f"{int(self.total_bytes / self.upload_seconds)}B/s"


@dataclass(frozen=True, slots=True)
class Round:
    """One ``monitor``: begin and end in seconds since the run began, and what had been sent until then."""

    begun: float
    ended: float
    exit_code: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What comes out.

    ``rest_seconds`` is from the last marker's appearance on disk to the end of the round that completes the run, the
    wait for that round (``wait_seconds``) included; ``full_seconds`` is one round for the whole run.
    """

    files: int
    bytes: int
    percent_at_marker: float
    wait_seconds: float
    rest_seconds: float
    full_seconds: float
    sent_bytes: int

    @property
    def rest_percent(self) -> float:
        """The rest after the marker against a full upload after it."""
        return 100 * self.rest_seconds / self.full_seconds

    @property
    def twice_percent(self) -> float:
        """Bytes beyond those of the run, against those of the run."""
        return 100 * (self.sent_bytes - self.bytes) / self.bytes


class Laboratory:
    """An instrument, cron, and a sink, in one folder."""

    def __init__(self, folder: str, setting: Setting, sink: SinkDestination) -> None:
        self._folder = folder
        self._setting = setting
        self._sink = sink
        script = make_script(
            setting.layout,
            total_bytes=setting.total_bytes,
            cycles=setting.cycles,
            seconds=setting.run_seconds,
            seed=setting.seed,
        )
        self._sequencer = os.path.join(folder, "sequencer")
        self._player = Player(script, self._sequencer)
        self._final = script.sizes_after()
        self._client = _client(sink)
        self.rounds: list[Round] = []
        os.mkdir(self._sequencer)

    def measure(self, last_rounds: int = 20) -> Figures:
        """Play the run with rounds until it is completed, then upload it as a whole.

        Raises:
            RuntimeError: a round failed, the run was not completed, or S3 does not have what is on disk.
        """
        before = self._sink.counts().bytes
        in_progress = self._config("live", upload_in_progress=True)
        stop = threading.Event()
        at_marker: list[tuple[float, float]] = []
        begun = time.monotonic()

        def write() -> None:
            speed = self._setting.run_seconds / self._setting.play_seconds
            self._player.replay(speed, wait=stop.wait, is_stopped=stop.is_set)
            if self._player.is_over:
                at_marker.append((time.monotonic() - begun, self._percent_in_s3("live")))

        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        try:
            for _ in self._ticks(begun, writing, last_rounds):
                self._round(in_progress, begun, before)
                if self._is_completed("live"):
                    break
            else:
                raise RuntimeError(f"not completed after {last_rounds} rounds more")
        finally:
            stop.set()
            writing.join()
        if not at_marker:
            raise RuntimeError("completed before the last marker was there")
        ((marker, percent),) = at_marker
        sent = self._sink.counts().bytes - before
        self._check("live")
        last = self.rounds[-1]
        return Figures(
            files=len(self._final),
            bytes=sum(self._final.values()),
            percent_at_marker=percent,
            wait_seconds=max(0.0, last.begun - marker),
            rest_seconds=last.ended - marker,
            full_seconds=self._full_upload(),
            sent_bytes=sent,
        )

    def _ticks(self, begun: float, writing: threading.Thread, last_rounds: int) -> Iterator[None]:
        """Wait for each time at which cron starts a round; a round that is still at work has none started beside it.

        The times lie so that the marker waits for half the time between two rounds.
        """
        every, left = self._setting.round_seconds, last_rounds
        while left:
            passed = time.monotonic() - begun
            time.sleep((0.5 - passed / every) % 1 * every)
            left -= not writing.is_alive()
            yield

    def _round(self, config: str, begun: float, before: int) -> None:
        started = time.monotonic() - begun
        code = self._monitor(config)
        ended = time.monotonic() - begun
        self.rounds.append(Round(round(started, 3), round(ended, 3), code, self._sink.counts().bytes - before))
        if code:
            raise RuntimeError(f"a round ended with exit code {code}; the last it said: {self._said()}")

    def _full_upload(self) -> float:
        config = self._config("whole", upload_in_progress=False)
        begun = time.monotonic()
        code = self._monitor(config)
        seconds = time.monotonic() - begun
        if code or not self._is_completed("whole"):
            raise RuntimeError(f"the full upload ended with exit code {code}; the last it said: {self._said()}")
        self._check("whole")
        return seconds

    def _monitor(self, config: str) -> int:
        command = [sys.executable, "-m", "async_s3_upload", "monitor", "--config", config]
        with open(os.path.join(self._folder, "said.txt"), "w", encoding="utf-8") as said:
            done = subprocess.run(command, env=self._sink.environment(), stdout=said, stderr=said, check=False)
        return done.returncode

    def _said(self) -> str:
        with open(os.path.join(self._folder, "said.txt"), encoding="utf-8") as said:
            return said.read()[-2000:]

    def _config(self, name: str, *, upload_in_progress: bool) -> str:
        live = {"upload_in_progress": True, "min_file_age": self._setting.min_file_age} if upload_in_progress else {}
        section = {"monitored_directories": [self._sequencer], "bucket": BUCKET, "remote_path": f"/{name}", **live}
        path = os.path.join(self._folder, f"{name}.json")
        log_dir = os.path.join(self._folder, f"log_{name}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"log_dir": log_dir, "max_bandwidth": self._setting.max_bandwidth, "monitor": [section]}, file)
        return path

    def _is_completed(self, name: str) -> bool:
        run_log = f"{self._player.script.run_id}.upload.log.json"
        try:
            with open(os.path.join(self._folder, f"log_{name}", "uploads", run_log), encoding="utf-8") as file:
                return bool(json.load(file)["completed"])
        except FileNotFoundError:
            return False

    def _in_s3(self, name: str) -> dict[str, int]:
        prefix = f"{name}/{self._player.script.run_id}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {
            entry["Key"].removeprefix(prefix): entry["Size"] for page in pages for entry in page.get("Contents", [])
        }

    def _percent_in_s3(self, name: str) -> float:
        """Return how much of the bytes of the final run is in S3 in files of their final size."""
        there = self._in_s3(name)
        have = sum(size for path, size in self._final.items() if there.get(path) == size)
        return 100 * have / sum(self._final.values())

    def _check(self, name: str) -> None:
        if self._in_s3(name) != self._final:
            raise RuntimeError(f"{name}: S3 does not have the files of the run, in their sizes")


def _client(sink: SinkDestination) -> Any:
    from botocore.session import get_session  # slow to import

    settings = sink.environment()
    return get_session().create_client(
        "s3",
        endpoint_url=sink.url,
        region_name=settings["AWS_REGION"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
    )
