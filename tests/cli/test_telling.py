"""What a round of `monitor` tells: one alert for each cause, each of them to be over one day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.cli.session import Ending
from async_s3_upload.cli.survey import Survey
from async_s3_upload.cli.telling import Telling, aws_cause, without_numbers
from async_s3_upload.config import read_config
from async_s3_upload.delivery.row import RunRow, State
from async_s3_upload.errors import AwsAccessError, Interrupted, LogDirError, WorkersError
from async_s3_upload.transfer.stores.preflight import UNREACHABLE
from tests.support.slack import SlackListener

DOOM = "bucket a: S3 answered 403 AccessDenied; access is forbidden"
AWS_HEAD = ":warning:  *S3 Upload*: Error in connecting to AWS!\n\n\t\t"
FOLDER_HEAD = ":warning:  *S3 Upload*: Not everything could be looked at"
OVER = ":white_check_mark:  *S3 Upload*: Recovered: "


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


class Lab:
    """Rounds with one log folder and one Slack."""

    def __init__(self, folder: Path, listener: SlackListener) -> None:
        self.folder = folder
        self.listener = listener
        self._seen = 0

    def round(self, **keys: Any) -> Telling:
        section = {"monitored_directories": ["/seq/1", "/seq/2"], "bucket": "a", "remote_path": "/"}
        path = self.folder / "config.json"
        webhooks = {"slack_log_webhook": self.listener.url_of("log"), "slack_alert_webhook": self.listener.url}
        path.write_text(json.dumps({"monitor": [section], "log_dir": str(self.folder), **webhooks, **keys}))
        return Telling(read_config(str(path)), {})

    def told(self) -> list[str]:
        """Return what Slack was told since the last time."""
        texts = self.listener.texts()[self._seen :]
        self._seen += len(texts)
        return texts


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with SlackListener() as listener:
        yield Lab(tmp_path, listener)


def row(state: State, detail: str = "", run: str = "run_1", bucket: str = "a", **keys: Any) -> RunRow:
    return RunRow(run, f"/seq/1/{run}", bucket, run, state, "partial", detail, **keys)


def failed(*runs: str) -> str:
    lines = "".join(f"\n\t\t• {run}" for run in runs)
    return f":x:  *S3 Upload*: Failed uploading {len(runs)} run{'s' if len(runs) > 1 else ''}{lines}"


def succeeded(run: str) -> str:
    return f":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run\n\t\t• {run}"


async def test_runs_that_fail_because_of_s3_have_its_alert_and_others_their_own(lab: Lab) -> None:
    rows = [row("partial", DOOM), row("partial", f"not begun: {DOOM}", "run_2"), row("partial", "1 file", "run_3", "b")]
    await lab.round().outcome(rows, Ending(DOOM))
    assert lab.told() == [AWS_HEAD + DOOM, failed("run_3")]
    await lab.round().outcome(rows, Ending(DOOM))
    assert lab.told() == []
    await lab.round().outcome([row("uploaded"), row("uploaded", run="run_3", bucket="b")], Ending())
    assert lab.told() == [
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 runs\n\t\t• run_1\n\t\t• run_3",
        f"{OVER}2 troubles are over\n\t\t• run_3 is uploaded\n\t\t• S3 can be used",
    ]


async def test_how_many_files_of_a_run_fail_is_no_new_cause(lab: Lab) -> None:
    await lab.round().outcome([row("partial", "1 file failed")], Ending())
    await lab.round().outcome([row("partial", "2 files failed")], Ending())
    assert lab.told() == [failed("run_1")]


async def test_a_run_with_two_destinations_is_over_when_both_have_it(lab: Lab) -> None:
    there, elsewhere = row("uploaded"), row("partial", "1 file failed", bucket="b")
    await lab.round().outcome([there, elsewhere], Ending())
    assert lab.told() == [succeeded("run_1"), failed("run_1")]
    await lab.round().outcome([there, row("partial", DOOM, bucket="b")], Ending(DOOM))
    assert lab.told() == [AWS_HEAD + DOOM, succeeded("run_1")]
    await lab.round().outcome([row("uploaded", bucket="b")], Ending())
    assert OVER in lab.told()[-1]


async def test_an_s3_out_of_reach_is_one_cause_whichever_way_it_shows(lab: Lab) -> None:
    await lab.round().outcome([], Ending(None, "nothing succeeded for 10 minutes"))
    await lab.round().ended_by(AwsAccessError(f"bucket a: connection trouble; {UNREACHABLE}"))
    await lab.round().ended_by(AwsAccessError(f"bucket a: no answer within 15 s; {UNREACHABLE}"))
    assert lab.told() == [f"{AWS_HEAD}nothing succeeded for 10 minutes"]
    await lab.round().ended_by(AwsAccessError("no usable AWS credentials"))
    assert lab.told() == [f"{AWS_HEAD}no usable AWS credentials"]
    await lab.round().outcome([], Ending())
    assert lab.told() == [f"{OVER}S3 can be used"]


async def test_what_ends_a_round_is_told_once_unless_it_is_a_signal(lab: Lab) -> None:
    for error in (WorkersError("3 workers died"), WorkersError("4 workers died"), Interrupted(15)):
        await lab.round().ended_by(error)
    await lab.round().ended_by(LogDirError("/log/told.json cannot be written"))
    assert lab.told() == [
        f"{FOLDER_HEAD}\n\t\t• 3 workers died",
        f"{FOLDER_HEAD}\n\t\t• /log/told.json cannot be written",
    ]
    await lab.round().outcome([], Ending())
    assert lab.told() == [f"{OVER}a round came to its end"]


async def test_folders_are_told_and_over_one_by_one_and_torn_logs_are_forgotten(lab: Lab) -> None:
    first, second = ("/seq/1", "monitored folder /seq/1 is gone"), ("/seq/2", "/seq/2/x cannot be looked into")
    for found in (
        Survey(troubles=[first, first], torn_logs=["x is torn"]),
        Survey(troubles=[first, second], torn_logs=["x is torn"]),
        Survey(troubles=[second]),
    ):
        telling = lab.round()
        await telling.found(found)
        await telling.outcome([], Ending())
    assert lab.told() == [
        f"{FOLDER_HEAD}\n\t\t• {first[1]}\n\t\t• x is torn",
        f"{FOLDER_HEAD}\n\t\t• {second[1]}",
        f"{OVER}/seq/1 can be looked at",
    ]


async def test_a_success_goes_to_its_own_webhook_in_the_style_that_is_wanted(lab: Lab) -> None:
    good = row("uploaded", files=3, bytes=1_000, uploaded_files=3, uploaded_bytes=1_000, seconds=0.5)
    await lab.round(slack_style="rich").outcome([good], Ending())
    (message,) = lab.listener.messages
    assert message.hook == "log"
    assert message.text == f"{succeeded('run_1')}: 3 files, 1 kB in 0.5 s (2 kB/s) to s3://a/run_1"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("denied for every one of 16 files tried", "denied for every one of # files tried"),
        ("no answer within 15.5 s; (403)", "no answer within # s; (#)"),
        ("bucket run-2024.01: S3 on port host:8333", "bucket run-2024.01: S3 on port host:#"),
        ("240119_A01 and b2 and 3d stay", "240119_A01 and b2 and 3d stay"),
    ],
)
def test_numbers_are_no_part_of_a_cause_unless_a_name_holds_them(text: str, left: str) -> None:
    assert without_numbers(text) == left


def test_other_reasons_of_aws_are_causes_of_their_own() -> None:
    assert aws_cause("bucket a: denied for 16 files") == aws_cause("bucket a: denied for 17 files")
    assert aws_cause("bucket a: denied") != aws_cause("bucket b: denied")
