"""``--json-events``: every line keeps to the schema, and nothing that happens is missing."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.command import Completed, RunningCommand
from tests.support.faults import Answer, Hold
from tests.support.proxy import Rule

from .lab import Lab, files_below

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text())
MIB = 1024 * 1024
Line = dict[str, Any]


def events(done: Completed) -> list[Line]:
    """Return the lines, each of which keeps to the schema."""
    check = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    lines: list[Line] = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        check.validate(line)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert (lines[0]["event"], lines[-1]["event"]) == ("round_begun", "round_ended")
    assert lines[-1]["exit_code"] == done.exit_code % 256
    return lines


def said(command: RunningCommand, enough: Callable[[str], bool]) -> None:
    """Return when the command has said enough."""
    end = time.monotonic() + 30
    while not enough(command.stdout):
        assert time.monotonic() < end, command.stdout
        time.sleep(0.05)


def named(lines: list[Line], name: str) -> list[Line]:
    return [line for line in lines if line["event"] == name]


def test_each_file_and_part_of_each_run_is_told(lab: Lab) -> None:
    bucket = lab.bucket()
    first, second = lab.make_run(1, files={"big": b"x" * (17 * MIB)}), lab.make_run(2)
    config = lab.write_config(lab.section(bucket))

    done = lab.monitor(config, "--json-events")

    assert done.exit_code == 0, done.stderr
    lines = events(done)
    for number, run in enumerate((first, second), 1):
        sent = {line["file"]: line for line in named(lines, "file_done") if line["run"] == number}
        sizes = {name: len(content) for name, content in files_below(run).items()}
        assert {name: line["size"] for name, line in sent.items()} == sizes
        assert {line["run_id"] for line in sent.values()} == {run.name}
        etags = lab.server.objects(bucket)
        assert all(etags[f"{run.name}/{name}"].etag == line["etag"].strip('"') for name, line in sent.items())
    counts = Counter(line["event"] for line in lines)
    assert counts["file_done"] == len(files_below(first)) + len(files_below(second))
    assert [(part["run"], part["file"]) for part in named(lines, "part_done")] == [(1, "big")] * 3
    assert sum(part["size"] for part in named(lines, "part_done")) == 17 * MIB
    assert [line["state"] for line in named(lines, "run_ended")] == ["uploaded", "uploaded"]
    for line in named(lines, "run_ended"):
        sent_bytes = sum(each["sent"] for each in named(lines, "file_done") if each["run"] == line["run"])
        assert line["sent_bytes"] == sent_bytes
    assert lines[-1]["runs"] == {"uploaded": 2}


def all_but_the_held_one(line: str) -> bool:
    if not line.endswith("\n"):
        return False  # being written
    told = json.loads(line)
    return told["event"] == "progress" and (
        told["files_done"],
        told["files_total"],
        told["in_flight"],
        told["retries"],
    ) == (14, 15, 1, 2)


def test_how_far_a_run_is_is_told_while_it_is_on_its_way(moto_lab: Lab) -> None:
    bucket, run, hold = moto_lab.bucket(), moto_lab.make_run(files={"held": b"x"}), Hold()
    moto_lab.behind(
        Rule(lambda request: request.key.endswith("/RunInfo.xml"), Answer(503, "SlowDown"), times=2),
        Rule(lambda request: request.key.endswith("/held"), hold),
    )
    with moto_lab.start_upload(run, bucket, "--json-events") as command:
        said(command, lambda text: any(all_but_the_held_one(line) for line in text.splitlines(keepends=True)))
        hold.release()
        done = command.wait(60)

    assert done.exit_code == 0, done.stderr
    assert any(line["files_done"] == 14 for line in named(events(done), "progress"))


def test_files_that_fail_and_files_that_change_are_told(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files={"refused": b"x", "gone": b"y"})
    hold = Hold()
    proxy = moto_lab.behind(
        Rule(lambda request: request.key.endswith("/refused"), Answer(400, "InvalidRequest")),
        Rule(lambda request: request.key.endswith("/gone"), hold),
    )
    with moto_lab.start_upload(run, bucket, "--json-events") as command:
        proxy.wait_for(lambda request: request.key.endswith("/gone"))
        (run / "gone").write_bytes(b"longer")
        hold.release()
        done = command.wait(60)

    assert done.exit_code == 3, done.stderr
    lines = events(done)
    assert [line["file"] for line in named(lines, "file_changed")] == ["gone"]
    assert [line["file"] for line in named(lines, "file_done")].count("gone") == 1
    (failed,) = named(lines, "file_failed")
    assert (failed["file"], "InvalidRequest" in failed["error"]) == ("refused", True)
    (ended,) = named(lines, "run_ended")
    assert (ended["state"], ended["failed_files"]) == ("partial", 1)


def test_a_command_that_is_interrupted_ends_with_an_event(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files={"held": b"x"})
    proxy = moto_lab.behind(Rule(lambda request: request.key.endswith("/held"), Hold()))
    with moto_lab.start_upload(run, bucket, "--json-events") as command:
        proxy.wait_for(lambda request: request.key.endswith("/held"))
        command.signal(signal.SIGTERM)
        done = command.wait(60)
    assert done.exit_code == 143
    assert events(done)[-1]["exit_code"] == 143


@pytest.mark.parametrize(
    ("args", "code"),
    [(["--bucket", "B!"], 2), (["--bucket", "no-such-bucket-anywhere"], 1), (["--dry-run"], 0)],
    ids=["usage", "no bucket", "dry run"],
)
def test_a_command_that_sends_nothing_tells_its_begin_and_its_end(moto_lab: Lab, args: list[str], code: int) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    done = moto_lab.upload(run, bucket, "--json-events", *args)
    assert done.exit_code == code, done.stderr
    assert [line["event"] for line in events(done)] == ["round_begun", "round_ended"]


def test_a_document_and_events_exclude_each_other(moto_lab: Lab) -> None:
    done = moto_lab.upload(moto_lab.make_run(), "runs", "--json", "--json-events")
    assert done.exit_code == 2
    assert "error: --json and --json-events exclude each other: both would write to stdout" in done.stderr
    assert done.json["exit_code"] == 2
