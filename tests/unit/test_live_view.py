"""The live view: what it shows, when it is there, and the log above it."""

from __future__ import annotations

import io
import logging
import re
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pyte
import pytest
from rich.console import Console

from async_s3_upload.cli.logs import LOG_FILE, console_log, file_log
from async_s3_upload.cli.progress.estimate import WINDOW_S, Pace
from async_s3_upload.cli.progress.live import APPEAR_AFTER_S, DRAW_EVERY_S, LiveView, can_show
from async_s3_upload.cli.progress.plain import EVERY_S, PlainLines
from async_s3_upload.cli.progress.screen import Shown, picture
from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.transfer.activity import Activity
from tests.unit.conftest import Records
from tests.unit.progress import GB, OTHER_ID, RUN_ID, Clock, activity, run

COLOUR = re.compile(r"\x1b\[[\d;]*m")
TERMINAL = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}


def drawn(width: int, *shown: Shown, workers: Activity | None = None) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False)
    console.print(picture(shown, workers or activity(), width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def on_screen(text: str, columns: int = 80) -> list[str]:
    screen = pyte.Screen(columns, 24)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display if line.strip()]


def test_a_run_takes_two_lines_of_a_narrow_terminal() -> None:
    first, second = Shown(run(), 412e6, 97.2), Shown(run(2, OTHER_ID, sent=GB, done=7), 0.0, None)
    lines = drawn(80, first, second)
    assert lines == [
        "240101_A01295_0001_AHV7TDRXY  ━━━━━━━━━━━━━━━━━━               60%   1m 37s left",
        "  3,345 of 5,492 files, 62 GB of 102 GB, 412 MB/s",
        "240102_A01295_0002_BHV7TDRXZ                                    0%",
        "  7 of 5,492 files, 1 GB of 102 GB, 0 B/s",
        "64 requests in flight, 3 retries",
    ]


def test_a_run_takes_one_line_of_a_wide_terminal() -> None:
    lines = drawn(200, Shown(run(), 412e6, 97.2), Shown(run(2, OTHER_ID), 1e6, 40000), workers=activity(1, 1))
    assert len(lines) == 3
    assert lines[0].startswith(f"{RUN_ID}  ━━━")
    assert lines[0].endswith("60%  3,345 of 5,492 files  62 GB of 102 GB  412 MB/s   1m 37s left")
    assert lines[1].endswith("60%  3,345 of 5,492 files  62 GB of 102 GB    1 MB/s  11h 06m left")
    assert lines[2] == "1 request in flight, 1 retry"


@pytest.mark.parametrize("width", [20, 40, 80, 119, 120, 200])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    long = run(1, "x" * 300, done=5_123_456)
    long.files_failed = long.files_total = 7_123_456
    for line in drawn(width, Shown(long, 412e6, 1e6), workers=activity(1, 1)):
        assert len(line) <= max(width, len("1 request in flight, "))


def test_what_is_done_with_a_run_takes_the_place_of_the_time_left() -> None:
    looking = RunProgress(1, RUN_ID)
    verifying = run(2, sent=102 * GB, done=5492)
    verifying.phase, verifying.files_failed = "verifying", 2
    lines = drawn(80, Shown(looking, 0.0, None), Shown(verifying, 0.0, 0.0))
    assert lines[0].endswith(" looking")
    assert lines[1] == "  0 of 0 files, 0 B of 0 B, 0 B/s"
    assert lines[2].endswith("100%     verifying")
    assert lines[3].startswith("  5,492 of 5,492 files, 2 failed, 102 GB")


def test_files_without_bytes_count_as_files() -> None:
    empty = RunProgress(1, RUN_ID, "sending", files_total=4, files_done=1)
    assert "  25%" in drawn(80, Shown(empty, 0.0, None))[0]


def test_a_name_is_no_markup() -> None:
    assert drawn(80, Shown(run(1, "[red]x[/red]"), 0.0, None))[0].startswith("[red]x[/red]  ")


class TestPace:
    def test_the_rate_is_that_of_the_last_seconds(self) -> None:
        pace, found = Pace(), run(sent=0, done=0)
        for second in range(60):
            pace.note(float(second), found)
            found.bytes_sent += 1000 if second < 30 else 10
            found.files_done += 2
        assert pace.bytes_per_s == 10
        assert pace.files_per_s == 2

    def test_few_looks_are_kept(self) -> None:
        pace = Pace()
        for second in range(1000):
            pace.note(float(second), run())
        assert len(pace._seen) <= WINDOW_S + 2

    def test_nobody_can_tell_before_anything_was_sent(self) -> None:
        pace, found = Pace(), run()
        assert pace.bytes_per_s == pace.files_per_s == 0
        assert pace.left_s(found) is None
        pace.note(5.0, found)
        assert pace.left_s(found) is None

    def test_what_is_left_goes_on_as_fast(self) -> None:
        pace, found = Pace(), run(sent=50 * GB)
        pace.note(0.0, found)
        found.bytes_sent += 2 * GB
        found.bytes_done += 2 * GB
        pace.note(4.0, found)
        assert pace.left_s(found) == 100

    def test_empty_files_that_are_left_go_on_as_fast_as_files_did(self) -> None:
        pace, found = Pace(), run(sent=102 * GB, done=5490)
        pace.note(0.0, found)
        found.files_done += 1
        pace.note(4.0, found)
        assert pace.left_s(found) == 4
        found.files_done += 1
        assert pace.left_s(found) == 0


class TestPlainLines:
    def test_each_run_is_told_each_half_minute(self, records: Records) -> None:
        clock, found, other = Clock(), run(sent=GB), run(2, OTHER_ID)
        lines = PlainLines(clock)
        lines.look([found], activity())
        clock.now_s += EVERY_S / 2
        lines.look([found, other], activity())
        found.bytes_sent += 300_000_000
        clock.now_s += EVERY_S / 2
        lines.look([found, other], activity())
        lines.look([found, other], activity())
        assert [record.getMessage() for record in records.kept] == [
            f"{RUN_ID}: 3,345 of 5,492 files sent, 1 GB of 102 GB, 10 MB/s"
        ]
        clock.now_s += EVERY_S / 2
        lines.look([other], activity())
        assert len(records.kept) == 2

    def test_a_run_that_is_not_sent_at_the_moment_gets_no_line(self, records: Records) -> None:
        clock, found = Clock(), RunProgress(1, RUN_ID)
        lines = PlainLines(clock)
        for _ in range(3):
            lines.look([found], activity())
            clock.now_s += EVERY_S
        assert records.kept == []


class Stage:
    """A live view that writes into a string, and the log above it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
        for name, value in TERMINAL.items():
            monkeypatch.setenv(name, value)
        self.stream = io.StringIO()
        self._monkeypatch = monkeypatch
        self.clock = Clock()
        self.view = LiveView(self.stream, environ, self.clock)

    def log(self) -> AbstractContextManager[None]:
        """Log to the console, which is the terminal of the view."""
        self._monkeypatch.setattr(sys, "stderr", self.stream)
        return console_log(logging.INFO, view=self.view)

    def appear(self) -> None:
        self.view.look([run()], activity())
        self.clock.now_s += APPEAR_AFTER_S
        self.view.look([run()], activity())

    @property
    def screen(self) -> list[str]:
        return on_screen(self.stream.getvalue())


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


LOG = logging.getLogger("async_s3_upload.somewhere")


def test_an_upload_that_ends_soon_gets_no_view(stage: Stage) -> None:
    stage.view.look([run()], activity())
    stage.clock.now_s += APPEAR_AFTER_S * 0.9
    stage.view.look([run()], activity())
    stage.view.rest()
    assert stage.stream.getvalue() == ""
    assert not stage.view.is_there


def test_a_view_is_there_until_nothing_is_on_its_way(stage: Stage) -> None:
    stage.appear()
    there = [stage.view.is_there]
    assert [line[:24] for line in stage.screen] == [RUN_ID[:24], "  3,345 of 5,492 files, ", "64 requests in flight, 3"]
    stage.view.rest()
    there.append(stage.view.is_there)
    assert there == [True, False]
    assert stage.screen == []


def test_lines_of_the_log_stand_above_the_view_and_stay(stage: Stage) -> None:
    with stage.log():
        LOG.info("before")
        stage.appear()
        LOG.info("during %s [red]", "x" * 100)
        stage.view.look([run()], activity())
        LOG.info("the last")
        assert "the last" not in stage.stream.getvalue()
        seen = stage.screen
        stage.view.rest()
        LOG.info("after")
    assert seen[0].endswith("INFO before")
    assert "INFO during xxx" in seen[1]
    assert seen[2].endswith("x [red]")
    assert seen[3].startswith(RUN_ID)
    assert len(seen) == 6
    left = [line.split("INFO ")[-1][:6] for line in stage.screen]
    assert left == ["before", "during", seen[2][:6], "the la", "after"]


def test_the_view_tells_progress_so_plain_lines_go_to_the_file_only(stage: Stage, tmp_path: Path) -> None:
    plain = logging.getLogger(PlainLines.__module__)
    with stage.log(), file_log(str(tmp_path)):
        plain.info("1 of 2 files sent, first")
        stage.appear()
        plain.info("1 of 2 files sent, second")
        stage.view.rest()
    assert "first" in stage.stream.getvalue()
    assert "second" not in stage.stream.getvalue()
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 2


def test_quiet_leaves_warnings_and_errors_on_the_console_and_all_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with console_log(logging.INFO, quiet=True), file_log(str(tmp_path)):
        LOG.info("all is well")
        LOG.warning("look")
        LOG.error("broken")
    written = capsys.readouterr().err.splitlines()
    assert [line.split(",", 1)[1][4:] for line in written] == ["WARNING look", "ERROR broken"]
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 3


def test_colours_are_left_out_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Stage(monkeypatch), Stage(monkeypatch, NO_COLOR="1")
    for stage in (coloured, plain):
        stage.appear()
    assert COLOUR.search(coloured.stream.getvalue())
    assert COLOUR.search(plain.stream.getvalue()) is None
    assert plain.screen[1:] == coloured.screen[1:]


def test_the_cursor_is_never_hidden_for_long(stage: Stage) -> None:
    stage.appear()
    text = stage.stream.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_a_terminal_that_goes_away_ends_the_view_and_nothing_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(text: str) -> int:
        raise OSError(5, "Input/output error")

    stage.appear()
    monkeypatch.setattr(stage.stream, "write", gone)
    stage.clock.now_s += DRAW_EVERY_S
    stage.view.look([run()], activity())
    assert not stage.view.is_there
    stage.clock.now_s += DRAW_EVERY_S
    stage.view.look([run()], activity())
    stage.view.rest()


def test_a_look_that_comes_soon_after_another_draws_nothing(stage: Stage) -> None:
    stage.appear()
    before = stage.stream.getvalue()
    stage.clock.now_s += DRAW_EVERY_S / 2
    stage.view.look([run()], activity())
    assert stage.stream.getvalue() == before
    stage.clock.now_s += DRAW_EVERY_S / 2
    stage.view.look([run()], activity())
    assert len(stage.stream.getvalue()) > len(before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "expected"),
    [
        (Terminal(), "xterm", True),
        (Terminal(), "dumb", False),
        (Terminal(), "", False),
        (io.StringIO(), "xterm", False),
    ],
)
def test_a_view_needs_a_terminal_that_can_move_the_cursor(stream: io.StringIO, term: str, expected: bool) -> None:
    assert can_show(stream, {"TERM": term}) is expected
