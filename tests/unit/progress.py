"""Runs on their way, a clock that is set, and someone who writes down what is told."""

from __future__ import annotations

from collections.abc import Sequence

from async_s3_upload.delivery.events import WatchEvent
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.transfer.activity import Activity, Counts

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
OTHER_ID = "240102_A01295_0002_BHV7TDRXZ"
GB = 1_000_000_000


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Notebook:
    """Writes down what is told."""

    def __init__(self, *, each_file: bool = True) -> None:
        self.each_file = each_file
        self.told: list[WatchEvent] = []
        self.looks: list[list[int]] = []
        self.rests = 0

    def tell(self, event: WatchEvent) -> None:
        self.told.append(event)

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        self.looks.append([run.number for run in runs])

    def rest(self) -> None:
        self.rests += 1

    @property
    def names(self) -> list[str]:
        return [event.event for event in self.told]


def row(run_id: str = RUN_ID) -> RunRow:
    return RunRow(run_id, f"/seq/{run_id}", "bucket-a", f"runs/{run_id}", "partial", "new")


def run(number: int = 1, run_id: str = RUN_ID, *, sent: int = 62 * GB, done: int = 3345) -> RunProgress:
    """Return a run of 102 GB of which some is sent."""
    return RunProgress(number, run_id, "sending", 5492, done, 0, 102 * GB, sent, sent)


def activity(in_flight: int = 64, retries: int = 3) -> Activity:
    found = Activity()
    found.told("a worker", Counts(in_flight, retries))
    return found
