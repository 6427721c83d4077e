"""The stream of events behind ``--json-events``: one JSON object a line; docs/events.md describes them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO, get_args

from async_s3_upload.cli.logs import silence
from async_s3_upload.delivery.events import RunFileDone, RunPartDone, RunProgressed, WatchEvent
from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.transfer.activity import Activity

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 1.0


def event_object(event: WatchEvent, time_s: float) -> dict[str, Any]:
    """Return the object of one line; ``time_s`` is seconds since the epoch."""
    milliseconds = int(time_s * 1000)
    found: dict[str, Any] = {
        "time": f"{_second_text(milliseconds // 1000)}.{milliseconds % 1000:03}Z",
        "event": event.event,
    }
    for name in _FIELDS[type(event)]:
        found[name] = getattr(event, name)
    return found


@lru_cache(maxsize=2)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(found.name for found in fields(kind)) for kind in get_args(WatchEvent)
}


class EventLines:
    """Writes events to ``stream``; those of files and parts reach it within the time between two looks.

    When the stream can no longer be written that is logged once, and the upload goes on. One that nobody reads holds
    the upload up.
    """

    each_file = True

    def __init__(
        self,
        stream: TextIO,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._now = now
        self._clock = clock
        self._told_at = clock()
        self._broken = False

    def tell(self, event: WatchEvent) -> None:
        """Write the event."""
        if self._broken:
            return
        try:
            self._stream.write(json.dumps(event_object(event, self._now())) + "\n")
            if not isinstance(event, (RunFileDone, RunPartDone)):
                self._stream.flush()
        except OSError as error:
            self._break(error)

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        """Write how far the runs are, once a second."""
        self._flush()
        if self._clock() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = self._clock()
        for run in runs:
            self.tell(
                RunProgressed(
                    run.number,
                    run.run_id,
                    run.phase,
                    run.files_total,
                    run.files_done,
                    run.files_failed,
                    run.bytes_total,
                    run.bytes_done,
                    run.bytes_sent,
                    activity.in_flight,
                    activity.retries,
                )
            )

    def rest(self) -> None:
        """Write what is held back."""
        self._flush()

    def _flush(self) -> None:
        if self._broken:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._break(error)

    def _break(self, error: OSError) -> None:
        self._broken = True
        log.warning("events can no longer be written to stdout: %s; the upload goes on", error.strerror or error)
        silence(self._stream)
