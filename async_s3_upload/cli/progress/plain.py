"""A line of the log now and then for each run on its way: what is seen where there is no terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from async_s3_upload.delivery.events import WatchEvent
from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.text import size_text
from async_s3_upload.transfer.activity import Activity

log = logging.getLogger(__name__)

EVERY_S = 30.0


class PlainLines:
    """Logs how far each run is, each half a minute while files are sent."""

    each_file = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[RunProgress, tuple[float, int]] = {}
        """When a run was told last, and what was sent of it then."""

    def tell(self, event: WatchEvent) -> None:
        """Single events are no concern of these lines."""

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        """Log what is due."""
        now = self._clock()
        self._told = {run: self._told.get(run, (now, run.bytes_sent)) for run in runs}
        for run, (told_at, sent) in self._told.items():
            if now - told_at < EVERY_S:
                continue
            self._told[run] = now, run.bytes_sent
            if run.phase == "sending":
                log.info(
                    "%s: %s of %s files sent, %s of %s, %s/s",
                    run.run_id,
                    f"{run.files_done:,}",
                    f"{run.files_total:,}",
                    size_text(run.bytes_done),
                    size_text(run.bytes_total),
                    size_text((run.bytes_sent - sent) / (now - told_at)),
                )

    def rest(self) -> None:
        """Nothing is kept open."""
