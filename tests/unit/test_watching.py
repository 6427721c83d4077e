"""How far a run is is counted from what the workers report, and told to those who watch."""

from __future__ import annotations

import asyncio

import pytest

from async_s3_upload.delivery import watching
from async_s3_upload.delivery.events import RunBegun, RunEnded, RunFileDone, RunPartDone
from async_s3_upload.delivery.watching import RunProgress, RunWatch, Watchers
from async_s3_upload.transfer.activity import Activity
from async_s3_upload.transfer.messages import FileDone, KnownPart, PartDone
from tests.unit.progress import OTHER_ID, RUN_ID, Notebook, row

BIG = 30_000_000


def done(number: int, size: int, sent: int | None = None) -> FileDone:
    return FileDone(number, "etag", size, 5, "AAAAAAAAAAA=", size if sent is None else sent)


def part(number: int, size: int) -> PartDone:
    return PartDone(number, "id1", KnownPart(1, size, "p1", None))


def counts(run: RunProgress) -> tuple[int, ...]:
    return run.files_done, run.files_total, run.files_failed, run.bytes_done, run.bytes_total, run.bytes_sent


@pytest.fixture
def watch() -> RunWatch:
    return RunWatch(Watchers(), RunProgress(1, RUN_ID))


def test_small_files_count_when_they_are_done_and_big_ones_part_by_part(watch: RunWatch) -> None:
    watch.sending(3, BIG + 30, {})
    watch.file_done("small", done(2, 10))
    watch.part_done("big", part(0, BIG // 2))
    assert counts(watch.progress) == (1, 3, 0, BIG // 2 + 10, BIG + 30, BIG // 2 + 10)
    watch.part_done("big", part(0, BIG // 2))
    watch.file_done("big", done(0, BIG))
    assert counts(watch.progress) == (2, 3, 0, BIG + 10, BIG + 30, BIG + 10)


def test_what_was_there_before_is_done_but_was_not_sent(watch: RunWatch) -> None:
    watch.sending(2, BIG + 10, {0: 20_000_000})
    watch.file_done("found", done(1, 10, sent=0))
    assert counts(watch.progress) == (1, 2, 0, 20_000_010, BIG + 10, 0)
    watch.part_done("big", part(0, 10_000_000))
    watch.file_done("big", done(0, BIG, sent=10_000_000))
    assert counts(watch.progress) == (2, 2, 0, BIG + 10, BIG + 10, 10_000_000)


def test_an_upload_that_is_begun_anew_takes_its_parts_off(watch: RunWatch) -> None:
    watch.sending(1, BIG, {})
    watch.part_done("big", part(0, 8_000_000))
    watch.parts_gone(0)
    watch.parts_gone(0)
    assert counts(watch.progress) == (0, 1, 0, 0, BIG, 8_000_000)


def test_a_file_that_changed_counts_once_when_it_is_planned_anew(watch: RunWatch) -> None:
    watch.sending(2, BIG + 10, {})
    watch.part_done("big", part(0, 8_000_000))
    watch.file_done("small", done(1, 10))
    watch.file_left(0, BIG)
    watch.file_changed("big", "it changed")
    assert counts(watch.progress) == (1, 1, 0, 10, 10, 8_000_010)
    watch.sending(1, BIG + 5, {})
    watch.file_done("big", done(0, BIG + 5))
    assert counts(watch.progress)[:5] == (2, 2, 0, BIG + 15, BIG + 15)


def test_a_file_that_failed_is_no_longer_awaited(watch: RunWatch) -> None:
    watch.sending(2, 30, {})
    watch.file_left(0, 20)
    watch.file_failed("a", "no right")
    watch.file_done("b", done(1, 10))
    assert counts(watch.progress) == (1, 1, 1, 10, 10, 10)


def test_files_are_told_only_to_who_wants_them() -> None:
    coarse = Notebook(each_file=False)
    watch = Watchers([coarse]).begin(row())
    watch.sending(1, 10, {})
    watch.file_done("a", done(0, 10))
    watch.part_done("b", part(1, 10))
    watch.file_failed("c", "no right")
    watch.ended(row())
    assert coarse.names == ["run_begun", "run_sending", "file_failed", "run_ended"]


def test_who_wants_it_hears_of_each_file_and_part() -> None:
    fine = Notebook()
    watch = Watchers([Notebook(each_file=False), fine]).begin(row())
    watch.file_done("Data/a\udcff", done(0, 10, sent=3))
    watch.part_done("b", part(1, 7))
    assert fine.told[1:] == [
        RunFileDone(1, RUN_ID, r"Data/a\xff", 10, 3, "etag", "AAAAAAAAAAA="),
        RunPartDone(1, RUN_ID, "b", 1, 7),
    ]


def test_runs_are_on_their_way_from_their_begin_to_their_end() -> None:
    notebook = Notebook()
    watchers = Watchers([notebook])
    first, second = watchers.begin(row()), watchers.begin(row(OTHER_ID))
    assert watchers.runs == [first.progress, second.progress]
    ended = row()
    ended.state, ended.files, ended.failed_files, ended.seconds = "partial", 7, [("/a", "why")], 1.23456
    first.ended(ended)
    assert watchers.runs == [second.progress]
    path, prefix = f"/seq/{OTHER_ID}", f"runs/{OTHER_ID}"
    assert notebook.told[1] == RunBegun(2, OTHER_ID, path, "bucket-a", prefix, "new", in_progress=False)
    assert notebook.told[2] == RunEnded(1, RUN_ID, "partial", "new", "", 7, None, 0, 0, 1, 1.235)


async def test_all_look_as_long_as_runs_may_be_on_their_way_and_then_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.001)
    one, other = Notebook(), Notebook()
    watchers = Watchers([one, other])
    watchers.begin(row())
    async with watchers.looking(Activity()), asyncio.timeout(10):
        while not other.looks:
            await asyncio.sleep(0)
        assert (one.rests, other.rests) == (0, 0)
    assert one.looks[0] == other.looks[0] == [1]
    assert (one.rests, other.rests) == (1, 1)


async def test_nobody_watches_by_default() -> None:
    watchers = Watchers()
    async with watchers.looking(Activity()):
        watchers.begin(row()).ended(row())
    assert watchers.runs == []
