"""The report page as values and as HTML, without a browser: what it says, that names are text, and its size."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from async_s3_upload.notify import page as module
from async_s3_upload.notify.page import Page, PageRound, PageRun, page_of
from async_s3_upload.notify.page_data import MOST_CHARACTERS
from async_s3_upload.notify.page_html import page_html

from .made_up import DAY, NOW, last_round, some_runs

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'`{{ 7*7 }}"
MIB = 1 << 20


def made(*runs: PageRun, last: PageRound | None = None) -> Page:
    return page_of(runs, last, "/var/log/s3_upload", NOW)


def a_run(**changes: Any) -> PageRun:
    complete = next(run for run in some_runs(40) if run.state == "completed")
    return replace(complete, **({"ended_at": NOW - 60} | changes))


def rows(page: Page) -> list[dict[str, Any]]:
    """Rows of the document with their texts in place."""
    data = json.loads(page.data)
    found = [dict(zip(data["columns"], row, strict=True)) for row in data["runs"]]
    worded = ("sequencer", "state", "next", "destination")
    return [row | {name: data["texts"][row[name]] for name in worded} for row in found]


class Elements(HTMLParser):
    """Counts the elements of a page, and keeps what stands in script elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_has_each_run_the_newest_first() -> None:
    page = made(a_run(run_id="old", ended_at=NOW - DAY), a_run(run_id="new", ended_at=NOW - 5), a_run(run_id="middle"))

    assert [row["run"] for row in rows(page)] == ["new", "middle", "old"]
    assert page.runs == 3


def test_figures_count_runs_by_what_they_need() -> None:
    page = made(
        a_run(bytes=10**12, rate=100e6),
        a_run(bytes=10**12, rate=300e6, ended_at=NOW - 8 * DAY),
        a_run(state="partial", failures=[("a", "why"), ("b", "why")], bytes=0, rate=None),
        a_run(state="damaged", bytes=None, rate=None),
        a_run(state="in_progress", bytes=0, rate=None),
        a_run(state="uploading", bytes=0, rate=None),
    )

    assert [(tile.value, tile.note) for tile in page.tiles] == [
        ("2", "of 6 runs"),
        ("2", "2 failed files"),
        ("2", "written or uploaded now"),
        ("1 TB", "5 runs"),
        ("100 MB/s", "median of the last 7 days"),
    ]


def test_figures_of_no_run_at_all_are_there_too() -> None:
    page = made()

    assert [tile.value for tile in page.tiles] == ["0", "0", "0", "0 B", "–"]
    assert "No file of any run failed." in page_html(page)
    assert "No round of <code>monitor</code> is remembered." in page_html(page)


def test_the_last_round_is_told_with_its_exit_code_and_problems() -> None:
    told = made(last=last_round()).last_round

    assert told is not None
    assert not told.good
    assert told.outcome == "2 runs uploaded, 1 run with failures"
    assert told.meaning == "exit code 3: some files or runs failed; they are tried again next time"
    assert told.problems == ["/data/seq3 cannot be read: Permission denied"]


def test_a_round_that_did_everything_is_good() -> None:
    told = made(last=PageRound(NOW - 60, 0, uploaded=1, failed=0)).last_round

    assert told is not None
    assert told.good
    assert told.outcome == "1 run uploaded"


def test_failures_are_grouped_by_their_reason_the_most_frequent_first() -> None:
    failures = [("a", "rare"), ("b", "often"), ("c", "often"), ("d", "often"), ("e", "often")]

    (failed,) = made(a_run(state="partial", failures=failures)).failed_runs

    assert failed.files == "5 files"
    assert [(reason.text, reason.files, list(reason.names)) for reason in failed.reasons] == [
        ("often", 4, ["b", "c", "d"]),
        ("rare", 1, ["a"]),
    ]
    assert "and 1 more" in page_html(made(a_run(failures=failures)))


def test_rows_of_the_table_lead_to_the_failures_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FAILED_RUNS", 2)
    monkeypatch.setattr(module, "SHOWN_FAILED_RUNS", 1)
    failing = [a_run(run_id=f"r{age}", ended_at=NOW - age, failures=[("a", "why")]) for age in range(4)]

    page = made(a_run(run_id="fine", ended_at=NOW), *failing)

    assert [row["named"] for row in rows(page)] == [None, 0, 1, None, None]
    assert [run.run_id for run in page.failed_runs] == ["r0"]
    assert [run.run_id for run in page.hidden_failed_runs] == ["r1"]
    html = page_html(page)
    assert 'id="failed-0" open' in html
    assert 'id="failed-1"' in html
    assert "2 more runs have failures" in html


@pytest.mark.parametrize("place", ["run_id", "sequencer", "next_step", "destination", "state"])
def test_names_that_look_like_markup_are_text(place: str) -> None:
    evil = page_html(made(a_run(**{place: EVIL, "failures": [("a", "why")]})))
    plain = page_html(made(a_run(**{place: "plain", "failures": [("a", "why")]})))

    assert Elements(evil).tags == Elements(plain).tags
    assert "alert(1)</script>" not in evil
    assert "<img" not in evil


def test_reasons_names_and_problems_that_look_like_markup_are_text() -> None:
    last = replace(last_round(), problems=[EVIL])

    evil = page_html(page_of([a_run(failures=[(EVIL, EVIL)])], last, EVIL, NOW, [EVIL]))
    plain = page_html(page_of([a_run(failures=[("a", "why")])], last_round(), "/log", NOW, ["note"]))

    assert Elements(evil).tags == Elements(plain).tags
    assert evil.count("&lt;img src=x") == 5


def test_the_document_for_the_script_holds_no_markup_and_is_what_was_put_in() -> None:
    page = made(a_run(run_id=EVIL, destination="a\u2028b<!--"))

    assert not set("<>&") & set(page.data)
    assert page.data.isascii()
    (row,) = rows(page)
    assert row["run"] == EVIL


def test_names_of_no_encoding_and_control_characters_do_no_harm() -> None:
    page = made(a_run(run_id="a\udcff\x1b[2Jb", failures=[("x\ud800\ny", "why\0")]), last=last_round())

    page_html(page).encode()
    assert rows(page)[0]["run"] == "a\\xff\\x1b[2Jb"


def test_texts_without_end_are_cut() -> None:
    page = made(a_run(run_id="x" * 10_000))

    assert len(rows(page)[0]["run"]) == MOST_CHARACTERS


def test_the_page_needs_nothing_else() -> None:
    html = page_html(made(*some_runs(20), last=last_round()))

    found = Elements(html).attributes
    assert [value for name, value in found if name in ("src", "href", "action", "data")] == ["data:,", "#runs"]
    policy = next(value for name, value in found if name == "content" and value and "default-src" in value)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", html)


def test_5000_runs_with_many_failures_are_less_than_2_mb() -> None:
    runs = [replace(run, failures=run.failures or [("a/b", "why")] * 50) for run in some_runs(5000, days=900)]

    html = page_html(made(*runs, last=last_round()))

    assert len(html.encode()) < 2 * MIB
    assert html.count('id="failed-') == module.MOST_FAILED_RUNS
