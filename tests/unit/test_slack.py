"""Messages to Slack: their exact texts, and that a Slack in trouble changes nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from async_s3_upload.notify import slack as notify
from async_s3_upload.notify.slack import (
    FailedRun,
    SentRun,
    StalledRun,
    aws_trouble_text,
    failure_text,
    folder_trouble_text,
    instrument_failure_text,
    post,
    recovered_text,
    rich_success_text,
    stalled_text,
    success_text,
)
from tests.support.slack import HOOK_PATH, SlackListener, refused_url
from tests.unit.conftest import Records


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSE_S", 0.01)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def listener() -> Iterator[SlackListener]:
    with SlackListener() as found:
        yield found


@asynccontextmanager
async def raw_server(*answers: bytes) -> AsyncIterator[str]:
    """A webhook behind which each connection gets the next answer, whatever it says."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{HOOK_PATH}SECRET"


def test_success_of_two_runs_in_the_replaced_tool_s_words() -> None:
    assert success_text(["run1", "run2"]) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 runs\n\t\t• run1\n\t\t• run2"
    )


def test_success_of_one_run_is_no_plural() -> None:
    assert success_text(["run1"]) == ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run\n\t\t• run1"


def test_success_may_carry_files_size_duration_rate_and_destination() -> None:
    runs = [
        SentRun("run1", 5_492, 102_000_000_000, 5_492, 102_000_000_000, 750.0, "s3://bucket-a/novaseq/run1"),
        SentRun("run2", 1, 0, 1, 0, 0.0, "s3://bucket-a/run2"),
    ]
    assert rich_success_text(runs) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 runs"
        "\n\t\t• run1: 5,492 files, 102 GB in 12m 30s (136 MB/s) to s3://bucket-a/novaseq/run1"
        "\n\t\t• run2: 1 file, 0 B in 0.0 s (0 B/s) to s3://bucket-a/run2"
    )


def test_the_rate_of_a_run_that_went_on_is_that_of_what_was_sent_now() -> None:
    run = SentRun("<run>\n", 5_492, 102_000_000_000, 12, 1_200_000_000, 30.0, "s3://b/&")
    assert rich_success_text([run]) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run\n\t\t• &lt;run&gt;\\x0a: 5,492 files, 102 GB; "
        "the last 12 files, 1.2 GB in 30.0 s (40 MB/s) to s3://b/&amp;"
    )


def test_what_is_over_is_named() -> None:
    assert recovered_text(["<run> goes on"]) == ":white_check_mark:  *S3 Upload*: Recovered: &lt;run&gt; goes on"
    assert recovered_text(["a is uploaded", "S3 can be used"]) == (
        ":white_check_mark:  *S3 Upload*: Recovered: 2 troubles are over\n\t\t• a is uploaded\n\t\t• S3 can be used"
    )


def test_failures_in_the_replaced_tool_s_words() -> None:
    assert aws_trouble_text("why") == ":warning:  *S3 Upload*: Error in connecting to AWS!\n\n\t\twhy"
    assert folder_trouble_text(["why"]) == ":warning:  *S3 Upload*: Not everything could be looked at\n\t\t• why"
    assert failure_text(["run1"]) == ":x:  *S3 Upload*: Failed uploading 1 run\n\t\t• run1"
    assert failure_text(["a", "b"]) == ":x:  *S3 Upload*: Failed uploading 2 runs\n\t\t• a\n\t\t• b"


def test_trouble_is_a_warning_that_says_what_it_is() -> None:
    text = aws_trouble_text("bucket b: there is no such bucket")
    assert text.startswith(":warning:  *S3 Upload*: ")
    assert text.endswith("bucket b: there is no such bucket")
    text = folder_trouble_text(["/seq/1 cannot be read", "/seq/2 cannot be read"])
    assert text.startswith(":warning:  *S3 Upload*: ")
    assert text.endswith("\n\t\t• /seq/1 cannot be read\n\t\t• /seq/2 cannot be read")


def test_runs_that_failed_on_the_instrument_are_one_message_with_what_it_says() -> None:
    assert instrument_failure_text([FailedRun("run1", "RunCompletionStatus.xml says RunErrored")]) == (
        ":x:  *S3 Upload*: 1 run failed on the instrument\n\t\t• run1: RunCompletionStatus.xml says RunErrored"
    )
    assert instrument_failure_text([FailedRun("a", "x"), FailedRun("b", "y")]) == (
        ":x:  *S3 Upload*: 2 runs failed on the instrument\n\t\t• a: x\n\t\t• b: y"
    )


def test_runs_that_stalled_are_one_message_with_what_they_wait_for() -> None:
    assert stalled_text([StalledRun("run1", 26.4 * 3600, "CopyComplete.txt")]) == (
        ":warning:  *S3 Upload*: 1 run stalled\n\t\t• run1: no new file for 26 h (CopyComplete.txt)"
    )
    runs = [StalledRun("a", 86_400, "RunUploaded.json"), StalledRun("b", 1e7, "c"), StalledRun("d", 1800, "e")]
    assert stalled_text(runs) == (
        ":warning:  *S3 Upload*: 3 runs stalled\n\t\t• a: no new file for 24 h (RunUploaded.json)"
        "\n\t\t• b: no new file for 2,778 h (c)\n\t\t• d: no new file for 30 min (e)"
    )


def test_what_an_instrument_says_cannot_forge_markup_or_lines() -> None:
    text = instrument_failure_text([FailedRun("<run>", "a\nb & <!channel>")])
    assert text.endswith("\n\t\t• &lt;run&gt;: a\\x0ab &amp; &lt;!channel&gt;")
    text = stalled_text([StalledRun("a\n• b", 86_400, "<x>")])
    assert text.endswith("\n\t\t• a\\x0a• b: no new file for 24 h (&lt;x&gt;)")


async def test_a_message_arrives_once_as_json_with_its_text(listener: SlackListener, records: Records) -> None:
    text = success_text(["run1", "Lauf Ä • <2> & \\xff"])
    assert await post(listener.url, text) is True
    (message,) = listener.messages
    assert message.payload == {"text": text}
    assert message.headers["Content-Type"] == "application/json"
    assert not [record for record in records.kept if record.name.startswith("async_s3_upload")]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_trouble_that_may_pass_is_tried_again(listener: SlackListener, status: int) -> None:
    listener.status = [status, status, 200]
    assert await post(listener.url, "text") is True
    assert [message.answered for message in listener.messages] == [status, status, 200]


async def test_a_slack_that_always_answers_500_is_given_up_and_logged_with_the_message(
    listener: SlackListener, records: Records
) -> None:
    listener.status = 500
    assert await post(listener.url, failure_text(["run1"])) is False
    assert len(listener.messages) == notify.ATTEMPTS
    (line,) = [record for record in records.kept if record.name == "async_s3_upload.notify.slack"]
    assert line.levelname == "ERROR"
    assert line.getMessage() == (
        "Slack could not be told (it answered 500); the message was: :x: *S3 Upload*: Failed uploading 1 run • run1"
    )


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_a_refusal_is_not_tried_again(listener: SlackListener, records: Records, status: int) -> None:
    listener.status = status
    assert await post(listener.url, "text") is False
    assert len(listener.messages) == 1
    assert f"it answered {status}" in records.text


async def test_a_slack_that_hangs_is_given_up_in_time(
    listener: SlackListener, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "ATTEMPT_S", 0.1)
    listener.hang_seconds = 30
    began = time.monotonic()
    assert await post(listener.url, "text") is False
    assert time.monotonic() - began < 3
    assert "no answer within" in records.text


async def test_all_attempts_together_end_in_the_time_of_one_message(
    listener: SlackListener, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TOTAL_S", 0.2)
    monkeypatch.setattr(notify, "ATTEMPT_S", 30)
    monkeypatch.setattr(notify, "ATTEMPTS", 1000)
    listener.hang_seconds = 30
    began = time.monotonic()
    assert await post(listener.url, "text") is False
    assert time.monotonic() - began < 3
    assert "no answer within 0 s" in records.text


async def test_pauses_count_towards_the_time_of_one_message(
    listener: SlackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TOTAL_S", 0.2)
    monkeypatch.setattr(notify, "PAUSE_S", 30)
    listener.status = 500
    began = time.monotonic()
    assert await post(listener.url, "text") is False
    assert time.monotonic() - began < 3


def test_one_message_takes_at_most_fifteen_seconds() -> None:
    assert notify.TOTAL_S <= 15


async def test_a_slack_that_is_down_is_given_up_and_logged(records: Records) -> None:
    with refused_url() as url:
        assert await post(url, "text") is False
    assert "Slack could not be told (ClientConnectorError)" in records.text


@pytest.mark.parametrize(
    "url",
    ["http://[SECRET", "http://127.0.0.1:99999/SECRET", "ftp://127.0.0.1/SECRET", "http:///SECRET", "SECRET"],
)
async def test_an_address_that_makes_no_sense_is_logged_without_being_shown(url: str, records: Records) -> None:
    assert await post(url, "text") is False
    assert "Slack could not be told" in records.text
    assert "SECRET" not in records.text


@pytest.mark.parametrize("answer", [b"", b"\xff\xfe nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_an_answer_that_is_no_http_is_trouble(answer: bytes, records: Records) -> None:
    async with raw_server(answer) as url:
        assert await post(url, "text") is False
    assert "Slack could not be told" in records.text


async def test_a_redirect_is_not_followed_since_it_would_lose_the_message(records: Records) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(moved, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as url:
        assert await post(url, "text") is False
    assert "it answered 302" in records.text


async def test_the_webhook_s_address_reaches_no_log_whatever_goes_wrong(
    listener: SlackListener, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "ATTEMPT_S", 0.1)
    with refused_url() as refused:
        addresses = [listener.url, refused]
        for status in (200, 302, 404, 500):
            listener.status = status
            await post(listener.url, "text")
        listener.hang_seconds = 30
        await post(listener.url, "text")
        await post(refused, "text")
    async with raw_server(b"nonsense\r\n\r\n") as url:
        addresses.append(url)
        await post(url, "text")
    assert len([line for line in records.messages if "Slack could not be told" in line]) == 6
    for address in addresses:
        assert address not in records.text
        assert address.rsplit("/", 1)[1] not in records.text
    assert HOOK_PATH not in records.text


async def test_the_end_of_the_command_is_not_held_up(listener: SlackListener) -> None:
    listener.hang_seconds = 30
    task = asyncio.create_task(post(listener.url, "text"))
    await asyncio.to_thread(listener.wait_for, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_names_with_markup_characters_are_escaped_as_slack_wants_them() -> None:
    assert notify.success_text(["a<b>&c"]).endswith("\n\t\t• a&lt;b&gt;&amp;c")
    assert notify.aws_trouble_text("<x>").endswith("\t\t&lt;x&gt;")
