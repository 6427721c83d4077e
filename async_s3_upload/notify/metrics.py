"""Metrics for Prometheus: a file that the textfile collector of node_exporter reads, replaced atomically.

Each round of ``monitor`` is a process of its own, so the counters go on from what the file says. Where it is gone or
damaged they begin at 0, which ``rate()`` and ``increase()`` take for a restart. All samples have the label
``log_dir``: several monitors of one machine have a file each.

That the file cannot be written is a logged error and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from async_s3_upload import __version__
from async_s3_upload.text import printable

if TYPE_CHECKING:  # it takes a while to import, and most have no metrics file
    from prometheus_client import CollectorRegistry, Metric

log = logging.getLogger(__name__)

PREFIX = "async_s3_upload_"


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric; ``label`` is the one it has besides ``log_dir``. The name is without PREFIX, and as in the file."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    label: str | None = None


FIGURES = (
    Figure("build_info", "gauge", "Version of the program, always 1.", "version"),
    Figure("runs", "gauge", "Runs that the log folder remembers, by state.", "state"),
    Figure("round_running", "gauge", "1 while a round of monitor runs, else 0."),
    Figure("last_round_timestamp_seconds", "gauge", "When the last round of monitor ended."),
    Figure("last_round_duration_seconds", "gauge", "How long the last round of monitor took."),
    Figure("last_round_exit_code", "gauge", "Exit code of the last round of monitor."),
    Figure("last_round_failed_runs", "gauge", "Runs of the last round that are not wholly in S3 and should be."),
    Figure("last_success_timestamp_seconds", "gauge", "When a round of monitor last ended with exit code 0."),
    Figure("last_upload_timestamp_seconds", "gauge", "When a round last ended in which a run was uploaded to its end."),
    Figure("rounds_total", "counter", "Rounds of monitor, by exit code.", "exit_code"),
    Figure("uploaded_runs_total", "counter", "Runs that were uploaded to their end."),
    Figure("sent_files_total", "counter", "Files that were sent."),
    Figure("sent_bytes_total", "counter", "Bytes of files that were sent, without what was sent again."),
    Figure("failed_files_total", "counter", "Files that failed, each in every round in which it does."),
    Figure("retries_total", "counter", "Requests to S3 that were tried again."),
)
"""All that is written, in this order."""

Samples = dict[tuple[str, str], float]
"""Values by the name of the metric and the value of its own label, empty where it has none."""


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """What a round came to; ``ended_at`` in seconds since the epoch. ``runs`` counts all that are known by state."""

    ended_at: float
    seconds: float
    exit_code: int
    uploaded_runs: int = 0
    failed_runs: int = 0
    sent_files: int = 0
    sent_bytes: int = 0
    failed_files: int = 0
    retries: int = 0
    runs: Mapping[str, int] = field(default_factory=dict)


class MetricsFile:
    """The file of one log folder, for one round, by who holds the lock of the log folder."""

    def __init__(self, path: str, log_dir: str) -> None:
        """Read what the file says of the log folder; the counters go on from there."""
        self._path = path
        self._log_dir = printable(log_dir)
        self._before: Samples = {}
        self._so_far = 0, 0
        try:
            self._before = _read(path, self._log_dir)
        except OSError as error:
            self._note(error)

    def begin(self) -> None:
        """Write that a round runs; all else stays as it was."""
        self.go_on(0, 0)

    def go_on(self, sent_bytes: int, retries: int) -> None:
        """Write how much was sent, and what was tried again, in this round so far."""
        self._so_far = sent_bytes, retries
        self._write({**self._before, ("round_running", ""): 1} | _sum(self._before, self._counted(sent_bytes, retries)))

    def end(self, done: RoundFigures) -> None:
        """Write what the round came to."""
        kept = {key: value for key, value in self._before.items() if key[0] not in ("runs", "build_info")}
        self._write(kept | _gauges(done) | _sum(kept, _counts(done) | self._counted(done.sent_bytes, done.retries)))

    def _counted(self, sent_bytes: int, retries: int) -> Samples:
        """Counters never fall: what was written before is the least."""
        before_bytes, before_retries = self._so_far
        return {
            ("sent_bytes_total", ""): max(sent_bytes, before_bytes),
            ("retries_total", ""): max(retries, before_retries),
        }

    def _write(self, samples: Samples) -> None:
        from prometheus_client import write_to_textfile

        try:
            write_to_textfile(self._path, _registry(samples, self._log_dir))
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        log.error("metrics file %s cannot be written: %s", self._path, error.strerror or error)


def _gauges(done: RoundFigures) -> Samples:
    found: Samples = {("runs", state): number for state, number in done.runs.items()}
    found |= {
        ("build_info", __version__): 1,
        ("round_running", ""): 0,
        ("last_round_timestamp_seconds", ""): done.ended_at,
        ("last_round_duration_seconds", ""): done.seconds,
        ("last_round_exit_code", ""): done.exit_code,
        ("last_round_failed_runs", ""): done.failed_runs,
    }
    if done.exit_code == 0:
        found["last_success_timestamp_seconds", ""] = done.ended_at
    if done.uploaded_runs:
        found["last_upload_timestamp_seconds", ""] = done.ended_at
    return found


def _counts(done: RoundFigures) -> Samples:
    return {
        ("rounds_total", str(done.exit_code)): 1,
        ("uploaded_runs_total", ""): done.uploaded_runs,
        ("sent_files_total", ""): done.sent_files,
        ("failed_files_total", ""): done.failed_files,
    }


def _sum(before: Samples, added: Samples) -> Samples:
    return {key: before.get(key, 0) + number for key, number in added.items()}


def _read(path: str, log_dir: str) -> Samples:
    """Return what the file says of this log folder; nothing where it is not there, or no such file.

    Raises:
        OSError: it is there and cannot be read.
    """
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        own_labels = {figure.name: figure.label for figure in FIGURES}
        found: Samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = sample.name.removeprefix(PREFIX)
                if name in own_labels and sample.labels.get("log_dir") == log_dir:
                    found[name, sample.labels.get(own_labels[name] or "", "")] = sample.value
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, IndexError) as error:
        log.warning("metrics file %s is damaged (%s): its counters begin at 0", path, error)
        return {}
    return found


def _registry(samples: Samples, log_dir: str) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Figures(Collector):
        def collect(self) -> Iterator[Metric]:
            for figure in FIGURES:
                kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
                labels = ["log_dir"] if figure.label is None else ["log_dir", figure.label]
                family = kind(PREFIX + figure.name, figure.text, labels=labels)
                for (name, value), number in samples.items():
                    if name == figure.name:
                        family.add_metric([log_dir] if figure.label is None else [log_dir, value], number)
                if family.samples:
                    yield family

    registry = CollectorRegistry()
    registry.register(Figures())
    return registry
