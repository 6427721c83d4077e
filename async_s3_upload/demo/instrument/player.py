"""Replays a script into a folder: step by step without any clock, or in compressed time."""

from __future__ import annotations

import os
import random
import time
import zlib
from collections.abc import Callable

from async_s3_upload.demo.instrument.script import Script, Step

_BLOCK_BYTES = 4 * 1024 * 1024


class Player:
    """Writes the run ``script.run_id`` into ``parent``, one step after the other.

    The same script gives the same files and bytes. Files have the mtimes of their writing; with ``begun_at`` (seconds
    since the epoch) those of a run that began then.
    """

    def __init__(self, script: Script, parent: str, *, begun_at: float | None = None) -> None:
        self.script = script
        self.folder = os.path.join(parent, script.run_id)
        self.done = 0
        self._begun_at = begun_at
        block = random.Random(script.seed).randbytes(_BLOCK_BYTES)  # noqa: S311 - made-up data, not a secret
        self._block = memoryview(block)

    @property
    def is_over(self) -> bool:
        """Whether every step is done."""
        return self.done == len(self.script.steps)

    def step(self) -> Step:
        """Do the next step and return it. IndexError after the last."""
        step = self.script.steps[self.done]
        target = os.path.join(self.folder, step.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if step.action == "rename":
            os.replace(os.path.join(self.folder, step.source), target)
        else:
            self._write(target, step)
        if self._begun_at is not None and step.action != "rename":
            os.utime(target, (self._begun_at + step.at, self._begun_at + step.at))
        self.done += 1
        return step

    def play_through(self, index: int) -> None:
        """Do all steps up to and with the one of this index."""
        while self.done <= index:
            self.step()

    def play_to_end(self) -> None:
        """Do all steps that are left."""
        self.play_through(len(self.script.steps) - 1)

    def replay(
        self,
        speed: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do the steps at their times, ``speed`` seconds of the run in each second, until the end or ``is_stopped``.

        Steps for which it is late are done at once, in their order.
        """
        begun = clock() - (self.script.steps[self.done].at / speed if self.done else 0.0)
        while not self.is_over and not is_stopped():
            left = begun + self.script.steps[self.done].at / speed - clock()
            if left > 0:
                wait(left)
                continue
            self.step()

    def _write(self, target: str, step: Step) -> None:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if step.action == "write" else os.O_APPEND)
        handle = os.open(target, flags, 0o644)
        try:
            if step.text is not None:
                os.write(handle, step.text)
                return
            # where the bytes start in the block, and the step's own number before them: no two files are the same
            start = zlib.crc32(f"{step.path}:{self.done}".encode()) % (_BLOCK_BYTES // 2)
            left = step.size - os.write(handle, self.done.to_bytes(8, "little")[: step.size])
            while left:
                left -= os.write(handle, self._block[start : start + min(left, _BLOCK_BYTES // 2)])
        finally:
            os.close(handle)
