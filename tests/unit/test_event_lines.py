"""The stream of events: its lines, its schema, and what becomes of it when nobody reads it any more."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError

from async_s3_upload.cli.progress import output
from async_s3_upload.cli.progress.event_lines import PROGRESS_EVERY_S, EventLines, event_object
from async_s3_upload.cli.progress.event_schema import event_schema
from async_s3_upload.cli.progress.output import shown
from async_s3_upload.cli.report import Report
from async_s3_upload.delivery.events import FILE_EVENTS, RunFileFailed, RunPartDone, RunVerifying, WatchEvent
from async_s3_upload.errors import AwsAccessError, UsageError
from tests.unit.conftest import Records
from tests.unit.progress import OTHER_ID, RUN_ID, Clock, activity, row, run

DOCS = Path(__file__).parents[2] / "docs"
FAILED = RunFileFailed(1, RUN_ID, "Data/a", "no right to put")


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def check(line: dict[str, Any]) -> None:
    Draft202012Validator(event_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(line)


def test_the_published_schema_is_the_one_of_the_events() -> None:
    published = json.loads((DOCS / "events.schema.json").read_text())
    assert published == event_schema(), "python -m async_s3_upload.cli.progress.event_schema > docs/events.schema.json"
    Draft202012Validator.check_schema(published)
    assert published["title"] == "A line of async-s3-upload --json-events"
    for kind in published["$defs"].values():
        assert kind["properties"]["time"]["description"] == "When it was told, UTC, to the millisecond."


def test_the_document_names_every_event_and_every_field_of_it() -> None:
    text = (DOCS / "events.md").read_text()
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    assert list(sections) == [kind.event for kind in get_args(WatchEvent)]
    for name, body in sections.items():
        described = event_schema()["$defs"][name]
        assert described["description"].split(".")[0].split(";")[0] in " ".join(body.split())
        told = re.findall(r"^\| `(\w+)` \|", body, re.M)
        assert told == [field for field in described["properties"] if field not in ("time", "event")]


def test_each_field_has_a_description() -> None:
    for described in event_schema()["$defs"].values():
        for name, field in described["properties"].items():
            assert name == "event" or field["description"], name


def test_a_line_has_a_time_the_name_of_the_event_and_its_fields() -> None:
    line = event_object(FAILED, 1_767_225_600.0421)
    assert line == {
        "time": "2026-01-01T00:00:00.042Z",
        "event": "file_failed",
        "run": 1,
        "run_id": RUN_ID,
        "file": "Data/a",
        "error": "no right to put",
    }
    check(line)


@pytest.mark.parametrize(
    "change",
    [{"run": "one"}, {"more": 1}, {"time": "2026-01-01 00:00"}, {"event": "file_lost"}, {"error": None}],
    ids=str,
)
def test_the_schema_takes_nothing_else(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(event_object(FAILED, 0.0) | change)


def test_how_far_each_run_is_is_told_once_a_second() -> None:
    clock, stream = Clock(), io.StringIO()
    lines = EventLines(stream, lambda: 0.0, clock)
    for _ in range(8):
        clock.now_s += PROGRESS_EVERY_S / 4
        lines.look([run(), run(2, OTHER_ID)], activity())
    told = objects(stream.getvalue())
    assert [(line["event"], line["run"]) for line in told] == [("progress", 1), ("progress", 2)] * 2
    assert (told[0]["in_flight"], told[0]["retries"], told[0]["files_done"]) == (64, 3, 3345)
    check(told[0])


class Pipe(io.StringIO):
    """A stream that counts its flushes, and may be broken."""

    flushes = 0
    error: OSError | None = None

    def flush(self) -> None:
        self.flushes += 1
        if self.error is not None:
            raise self.error


def test_lines_of_files_wait_for_the_next_look_and_all_others_go_at_once() -> None:
    stream = Pipe()
    lines = EventLines(stream)
    lines.tell(RunPartDone(1, RUN_ID, "a", 1, 5))
    assert stream.flushes == 0
    lines.look([], activity())
    assert stream.flushes == 1
    lines.tell(RunVerifying(1, RUN_ID))
    assert stream.flushes == 2
    lines.tell(RunPartDone(1, RUN_ID, "a", 2, 5))
    lines.rest()
    assert stream.flushes == 3
    assert len(objects(stream.getvalue())) == 3
    assert RunPartDone in FILE_EVENTS


def test_a_reader_who_leaves_is_one_warning_and_the_upload_goes_on(records: Records) -> None:
    stream = Pipe()
    lines = EventLines(stream)
    stream.error = BrokenPipeError(32, "Broken pipe")
    for _ in range(3):
        lines.tell(RunVerifying(1, RUN_ID))
        lines.look([run()], activity())
    lines.rest()
    assert records.messages == ["events can no longer be written to stdout: Broken pipe; the upload goes on"]
    assert stream.flushes == 1


def test_what_a_reader_who_left_did_not_take_is_no_error_at_the_end() -> None:
    theirs, ours = os.pipe()
    stream = os.fdopen(ours, "w")
    lines = EventLines(stream)
    os.close(theirs)
    lines.tell(RunVerifying(1, RUN_ID))
    stream.close()


def ended(text: str) -> dict[str, Any]:
    begun, *_, last = objects(text)
    check(begun)
    check(last)
    assert (begun["event"], last["event"]) == ("round_begun", "round_ended")
    return last


def test_the_last_event_tells_how_the_command_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("monitor", quiet=False, as_json=False, json_events=True, dry_run=False) as found:
        found.report = Report([row(), row(OTHER_ID)], ["a\udcff cannot be listed"], 0, 3)
        found.report.rows[1].state = "skipped"
    last = ended(capsys.readouterr().out)
    assert (last["exit_code"], last["problems"]) == (3, [r"a\xff cannot be listed"])
    assert last["runs"] == {"partial": 1, "skipped": 1}


@pytest.mark.parametrize(
    ("error", "code", "problems"),
    [
        (AwsAccessError("no credentials"), 1, ["no credentials"]),
        (UsageError("one\ntwo"), 2, ["one", "two"]),
        (SystemExit(143), 143, ["143"]),
        (KeyboardInterrupt(), 130, []),
        (RuntimeError("a fault"), 1, ["a fault"]),
    ],
    ids=repr,
)
def test_a_command_that_cannot_begin_ends_with_an_event_too(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, problems: list[str]
) -> None:
    with (
        pytest.raises(type(error)),
        shown("upload", quiet=False, as_json=False, json_events=True, dry_run=False),
    ):
        raise error
    last = ended(capsys.readouterr().out)
    assert (last["exit_code"], last["problems"], last["runs"]) == (code, problems, {})


def test_one_document_and_a_stream_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(UsageError, match="--json and --json-events exclude each other: both would write to stdout"),
        shown("upload", quiet=False, as_json=True, json_events=True, dry_run=False),
    ):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "there"),
    [({}, True), ({"quiet": True}, False), ({"json_events": True}, False), ({"dry_run": True}, False)],
    ids=str,
)
def test_a_terminal_gets_a_view_unless_an_option_speaks_against_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: dict[str, bool], there: bool
) -> None:
    monkeypatch.setattr(output, "can_show", lambda stream, environ: True)
    chosen = {"quiet": False, "json_events": False, "dry_run": False} | options
    with shown("upload", as_json=False, **chosen) as found:
        kinds = [type(watcher).__name__ for watcher in found.watchers.watchers]
    assert ("LiveView" in kinds) is there
    assert ("EventLines" in kinds) is bool(options.get("json_events"))
    assert "PlainLines" in kinds
