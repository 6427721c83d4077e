"""Alerts: each cause is told once, again after a while, and once when it is over; no alert is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from async_s3_upload.cli.alerts import Alerts, Trouble
from async_s3_upload.notify import slack
from tests.support.slack import SlackListener

HOUR = 3600.0
DAY = 24 * HOUR
RUN = Trouble("failing", "/seq/run_1", "bucket/run_1")
OTHER = Trouble("failing", "/seq/run_2", "bucket/run_2")


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "PAUSE_S", 0.0)
    monkeypatch.setenv("no_proxy", "*")


@dataclass
class Rounds:
    """Rounds at times of the test's choice; each reads its memory afresh."""

    log_dir: Path
    listener: SlackListener
    now: float = 1_800_000_000.0
    repeat_after_s: float = DAY
    kept: list[Alerts] = field(default_factory=list)

    def begin(self, after_s: float = 900.0) -> Alerts:
        self.now += after_s
        return Alerts(str(self.log_dir), self.listener.url, self.repeat_after_s, lambda: self.now)

    async def round(
        self, *wrong: Trouble, looked_at: tuple[Trouble, ...] = (RUN, OTHER), after_s: float = 900.0
    ) -> None:
        """Tell what is wrong, and what of ``looked_at`` is over."""
        alerts = self.begin(after_s)
        due = alerts.due(wrong)
        if due:
            await alerts.tell("wrong: " + " ".join(trouble.subject for trouble in due), due)
        for trouble in looked_at:
            alerts.over(trouble.subject, trouble.kind, f"{trouble.subject} works")
        await alerts.tell_recovered()

    @property
    def texts(self) -> list[str]:
        return self.listener.texts()


@pytest.fixture
def rounds(tmp_path: Path) -> Iterator[Rounds]:
    with SlackListener() as listener:
        yield Rounds(tmp_path, listener)


def recovered(what: str) -> str:
    return f":white_check_mark:  *S3 Upload*: Recovered: {what}"


async def test_what_goes_on_is_told_once_then_after_a_day_and_its_end_once(rounds: Rounds) -> None:
    for _ in range(5):
        await rounds.round(RUN)
    assert rounds.texts == ["wrong: /seq/run_1"]
    await rounds.round(RUN, after_s=DAY)
    await rounds.round(RUN)
    assert rounds.texts == ["wrong: /seq/run_1"] * 2
    for _ in range(3):
        await rounds.round()
    assert rounds.texts[2:] == [recovered("/seq/run_1 works")]
    await rounds.round(RUN)
    assert rounds.texts[3:] == ["wrong: /seq/run_1"]


async def test_what_joins_what_goes_on_is_told_alone(rounds: Rounds) -> None:
    await rounds.round(RUN)
    await rounds.round(RUN, OTHER, OTHER)
    assert rounds.texts == ["wrong: /seq/run_1", "wrong: /seq/run_2"]
    await rounds.round()
    assert rounds.texts[2:] == [recovered("2 troubles are over\n\t\t• /seq/run_1 works\n\t\t• /seq/run_2 works")]


async def test_what_was_not_looked_at_is_not_over(rounds: Rounds) -> None:
    await rounds.round(RUN)
    await rounds.round(looked_at=())
    await rounds.round(looked_at=(OTHER,))
    assert rounds.texts == ["wrong: /seq/run_1"]


async def test_a_slack_that_was_down_is_told_again_in_the_next_round(rounds: Rounds) -> None:
    rounds.listener.status = 404
    await rounds.round(RUN)
    rounds.listener.status = 200
    await rounds.round(RUN)
    await rounds.round(RUN)
    assert rounds.texts == ["wrong: /seq/run_1"] * 2
    rounds.listener.status = 404
    await rounds.round()
    rounds.listener.status = 200
    await rounds.round()
    await rounds.round()
    assert rounds.texts[2:] == [recovered("/seq/run_1 works")] * 2


async def test_what_nobody_was_told_of_does_not_recover(rounds: Rounds) -> None:
    rounds.listener.status = 404
    await rounds.round(RUN)
    rounds.listener.status = 200
    await rounds.round()
    assert rounds.texts == ["wrong: /seq/run_1"]


async def test_what_is_told_once_is_not_repeated_and_what_is_over_without_words_is_forgotten(rounds: Rounds) -> None:
    alerts = rounds.begin()
    await alerts.tell("once", alerts.due([RUN], repeated=False))
    alerts = rounds.begin(1000 * DAY)
    assert alerts.due([RUN], repeated=False) == []
    alerts = rounds.begin()
    alerts.over(RUN.subject, RUN.kind)
    await alerts.tell_recovered()
    assert rounds.begin().due([RUN], repeated=False) == [RUN]
    assert rounds.texts == ["once"]


async def test_a_memory_that_cannot_be_read_makes_everything_due(
    rounds: Rounds, caplog: pytest.LogCaptureFixture
) -> None:
    (rounds.log_dir / "told.json").mkdir()
    for _ in range(2):
        await rounds.round(RUN)
        await rounds.round()
    assert rounds.texts == ["wrong: /seq/run_1"] * 2
    assert "told.json cannot be read: Is a directory: alerts may be told again" in caplog.text


async def test_a_memory_that_cannot_be_written_makes_everything_due(
    rounds: Rounds, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str, __: str) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.replace", full)
    for _ in range(2):
        await rounds.round(RUN)
    assert rounds.texts == ["wrong: /seq/run_1"] * 2
    assert "told.json cannot be written: No space left on device: alerts may be told again" in caplog.text


async def test_without_a_webhook_the_log_is_all_there_is(tmp_path: Path) -> None:
    alerts = Alerts(str(tmp_path), None, DAY, lambda: 1_800_000_000.0)
    await alerts.tell("text", alerts.due([RUN]))
    assert Alerts(str(tmp_path), None, DAY, lambda: 1_800_000_001.0).due([RUN]) == []
