"""Which alerts were told: none is repeated every round, none is lost, and what is over is known."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.told import Alert, Told, cause_digest

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
RUN = "/seq/240101_A01295_0001_AHV7TDRXY"


def remember(tmp_path: Path, *alerts: tuple[str, str, str], now: float = NOW) -> None:
    told = Told(str(tmp_path))
    for kind, subject, cause in alerts:
        told.note(kind, subject, cause, now)
    told.save()


def test_what_was_never_told_is_due_and_then_no_more(tmp_path: Path) -> None:
    told = Told(str(tmp_path))
    assert told.due("stalled", RUN, "CopyComplete.txt", NOW, None)
    assert told.due("stalled", RUN, "CopyComplete.txt", NOW, None), "asking is not telling"
    told.note("stalled", RUN, "CopyComplete.txt", NOW)
    assert not told.due("stalled", RUN, "CopyComplete.txt", NOW, None)
    assert not told.due("stalled", RUN, "CopyComplete.txt", NOW + 1000 * DAY, None)


def test_another_kind_run_or_cause_is_another_alert(tmp_path: Path) -> None:
    remember(tmp_path, ("stalled", RUN, "a"))
    told = Told(str(tmp_path))
    assert not told.due("stalled", RUN, "a", NOW, None)
    assert told.due("failing", RUN, "a", NOW, None)
    assert told.due("stalled", RUN + "2", "a", NOW, None)
    assert told.due("stalled", RUN, "b", NOW, None)


def test_what_was_told_is_known_to_the_next_round(tmp_path: Path) -> None:
    remember(tmp_path, ("stalled", RUN, "a"), ("failed", RUN, "é\udcff"))
    told = Told(str(tmp_path))
    assert told.problem is None
    assert not told.due("stalled", RUN, "a", NOW + HOUR, None)
    assert not told.due("failed", RUN, "é\udcff", NOW + HOUR, None)


def test_an_alert_is_repeated_after_its_time_counted_from_the_last_one(tmp_path: Path) -> None:
    remember(tmp_path, ("failing", RUN, "a"))
    told = Told(str(tmp_path))
    assert not told.due("failing", RUN, "a", NOW + DAY - 1, DAY)
    assert told.due("failing", RUN, "a", NOW + DAY, DAY)
    told.note("failing", RUN, "a", NOW + DAY)
    assert not told.due("failing", RUN, "a", NOW + DAY + HOUR, DAY)
    assert told.recovered(RUN) == []
    told.save()
    (alert,) = Told(str(tmp_path)).recovered(RUN)
    assert (alert.first_told, alert.last_told) == (NOW, NOW + DAY)


def test_a_clock_that_was_ahead_does_not_silence_alerts(tmp_path: Path) -> None:
    remember(tmp_path, ("failing", RUN, "a"), now=NOW + 1000 * DAY)
    told = Told(str(tmp_path))
    assert told.due("failing", RUN, "a", NOW, DAY)
    assert not told.due("failing", RUN, "a", NOW, None)


def test_what_holds_no_more_has_recovered_until_it_is_forgotten(tmp_path: Path) -> None:
    remember(tmp_path, ("stalled", RUN, "a"), now=NOW + HOUR)
    remember(tmp_path, ("failing", RUN, "b"), ("stalled", RUN + "2", "a"))
    told = Told(str(tmp_path))
    told.due("stalled", RUN + "2", "a", NOW, None)
    recovered = told.recovered(RUN)
    assert [(alert.kind, alert.first_told) for alert in recovered] == [("failing", NOW), ("stalled", NOW + HOUR)]
    assert told.recovered(RUN + "2") == []
    told.forget(recovered)
    assert told.recovered(RUN) == []
    told.save()
    again = Told(str(tmp_path))
    assert again.due("stalled", RUN, "a", NOW, None)
    assert not again.due("stalled", RUN + "2", "a", NOW, None)


def test_a_run_that_still_fails_for_another_cause_has_not_recovered(tmp_path: Path) -> None:
    remember(tmp_path, ("failing", RUN, "a"), ("stalled", RUN, "c"))
    told = Told(str(tmp_path))
    assert told.due("failing", RUN, "b", NOW, None)
    assert [alert.kind for alert in told.recovered(RUN)] == ["stalled"]


def test_only_kinds_that_were_looked_for_can_have_recovered(tmp_path: Path) -> None:
    remember(tmp_path, ("failing", RUN, "a"), ("stalled", RUN, "c"))
    assert [alert.kind for alert in Told(str(tmp_path)).recovered(RUN, {"stalled"})] == ["stalled"]


def test_alerts_of_runs_that_are_long_gone_are_dropped(tmp_path: Path) -> None:
    here = str(tmp_path)
    remember(tmp_path, ("stalled", RUN, "a"), ("stalled", here, "a"))
    for days, kept in ((0, 2), (89, 2), (90, 2), (91, 1), (1000, 1)):
        told = Told(here)
        told.drop_gone(NOW + days * DAY)
        told.save()
        assert len(json.loads((tmp_path / "told.json").read_text())["alerts"]) == kept, days


def test_a_storage_that_is_back_is_as_if_it_had_never_been_gone(tmp_path: Path) -> None:
    remember(tmp_path, ("stalled", RUN, "a"))
    there = {0: False, 80: True, 100: False, 180: False, 191: False}
    for day, is_there in there.items():
        told = Told(str(tmp_path))
        told.drop_gone(NOW + day * DAY, lambda path, is_there=is_there: is_there)  # type: ignore[misc]
        told.save()
        if day == 180:
            assert not Told(str(tmp_path)).due("stalled", RUN, "a", NOW, None)
    assert Told(str(tmp_path)).due("stalled", RUN, "a", NOW, None)


def test_an_alert_that_is_still_told_is_kept_though_its_subject_is_no_folder(tmp_path: Path) -> None:
    remember(tmp_path, ("bucket", "bucket-a", "a"))
    for day in range(0, 400, 50):
        told = Told(str(tmp_path))
        assert not told.due("bucket", "bucket-a", "a", NOW + day * DAY, None)
        told.note("bucket", "bucket-a", "a", NOW + day * DAY)
        told.drop_gone(NOW + day * DAY)
        told.save()
    assert len(Told(str(tmp_path)).recovered("bucket-a")) == 1


def test_neither_causes_nor_other_texts_lie_in_the_file(tmp_path: Path) -> None:
    remember(tmp_path, ("failing", RUN, "key AKIASECRET was refused"))
    text = (tmp_path / "told.json").read_text()
    assert "SECRET" not in text
    assert json.loads(text)["alerts"] == [
        {
            "kind": "failing",
            "subject": RUN,
            "cause": cause_digest("key AKIASECRET was refused"),
            "first_told": "2027-01-15T08:00:00+00:00",
            "last_told": "2027-01-15T08:00:00+00:00",
        }
    ]


def test_fields_that_are_not_known_are_kept(tmp_path: Path) -> None:
    remember(tmp_path, ("stalled", RUN, "a"))
    path = tmp_path / "told.json"
    data = json.loads(path.read_text())
    data["later"] = {"x": [1]}
    data["alerts"][0]["channel"] = "#seq"
    path.write_text(json.dumps(data))
    told = Told(str(tmp_path))
    told.note("stalled", RUN, "a", NOW + DAY)
    told.drop_gone(NOW + DAY)
    told.save()
    data = json.loads(path.read_text())
    assert (data["later"], data["alerts"][0]["channel"]) == ({"x": [1]}, "#seq")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"alerts": 5}',
        b'{"alerts": {"a": 1}}',
        b'{"alerts": [1]}',
        b'{"alerts": [{"kind": 1, "subject": "a", "cause": "b"}]}',
        b'{"alerts": [{"kind": "a", "subject": "a", "cause": "b", "first_told": 5, "last_told": 5}]}',
        b'{"alerts": [{"kind": "a", "subject": "a", "cause": "b", "first_told": "2027-01-01T00:00:00"}]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_counts_as_empty_and_is_put_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "told.json"
    path.write_bytes(content)
    told = Told(str(tmp_path))
    assert told.problem is not None
    assert told.problem.startswith(f"{path} is torn or not ours (")
    assert b'"kind": 1' not in content or "kind, subject and cause must be text" in told.problem
    assert told.problem.endswith("): alerts may be told again; it is kept as told.json.damaged")
    assert path.read_bytes() == content, "reading changes nothing"
    assert told.due("stalled", RUN, "a", NOW, None)
    told.save()
    assert (tmp_path / "told.json.damaged").read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["told.json", "told.json.damaged"]
    assert Told(str(tmp_path)).problem is None


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    told = Told(str(tmp_path))
    told.due("stalled", RUN, "a", NOW, None)
    told.drop_gone(NOW)
    told.save()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("old", [b'{"alerts": []}', b"torn"])
def test_a_folder_that_cannot_be_written_is_told_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, old: bytes
) -> None:
    (tmp_path / "told.json").write_bytes(old)
    told = Told(str(tmp_path))
    told.note("stalled", RUN, "a", NOW)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(LogDirError, match=r"told\.json cannot be written: No space left on device"):
            told.save()
    assert os.listdir(tmp_path) == ["told.json"]
    assert (tmp_path / "told.json").read_bytes() == old
    told.save()
    assert not Told(str(tmp_path)).due("stalled", RUN, "a", NOW, None)


def test_a_file_that_cannot_be_read_is_no_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "told.json").mkdir()
    with pytest.raises(LogDirError, match=r"told\.json cannot be read: Is a directory"):
        Told(str(tmp_path))


def test_a_log_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    told = Told(str(tmp_path / "gone"))
    told.note("stalled", RUN, "a", NOW)
    with pytest.raises(LogDirError, match="cannot be written: No such file or directory"):
        told.save()


TEXTS = st.text(st.characters(codec="utf-8") | st.just("\udcff"), max_size=4)
KINDS = st.sampled_from(["stalled", "failed"])
SUBJECTS = st.sampled_from(["/a", "/b"]) | TEXTS
CAUSES = st.sampled_from(["x", "y"]) | TEXTS
TIMES = st.floats(0, 4e9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KINDS, SUBJECTS, CAUSES, TIMES), max_size=8))
def test_what_is_saved_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, alerts: list[tuple[str, str, str, float]]
) -> None:
    folder = str(tmp_path_factory.mktemp("logs"))
    told = Told(folder)
    for kind, subject, cause, now in alerts:
        told.note(kind, subject, cause, now)
    told.save()
    again = Told(folder)
    assert again.problem is None
    for subject in {alert[1] for alert in alerts}:
        kept = {(alert.kind, alert.cause): alert for alert in again.recovered(subject)}
        for kind, cause in {(kind, cause) for kind, other, cause, _ in alerts if other == subject}:
            times = [now for alert in alerts if alert[:3] == (kind, subject, cause) for now in alert[3:]]
            found: Alert = kept.pop((kind, cause_digest(cause)))
            assert 0 <= times[0] - found.first_told < 1
            assert 0 <= times[-1] - found.last_told < 1
        assert not kept
