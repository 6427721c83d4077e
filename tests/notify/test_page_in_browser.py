"""The report page in a real browser: drawn, sorted, filtered, by keyboard too, in both themes and on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.notify.page import PageRun, page_of
from async_s3_upload.notify.page_html import page_html
from tests.support.browser import Browser

from .made_up import DAY, NOW, last_round, some_runs

Show = Callable[..., Path]

ROWS = "[...document.querySelectorAll('#table tbody tr')].map(row => row.cells[{}].firstChild.textContent)"
LOW_CONTRAST = """(() => {
  const number = text => text.match(/[\\d.]+/g).map(Number);
  const part = v => v <= 10 ? v / 3294.6 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(part).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const found = number(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const unseen = !walker.currentNode.data.trim() || !element.getClientRects().length;
    if (unseen || element.closest('script, title, :disabled')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(number(element.closest('svg') ? style.fill : style.color)), light(ground(element))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push([walker.currentNode.data.trim().slice(0, 40), ratio]);
  }
  return bad;
})()"""


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Show:
    """A function that opens the page of some runs; what the page asks for and complains of is looked at."""

    def opened(runs: list[PageRun], **how: Any) -> Path:
        path = tmp_path / "page.html"
        path.write_text(page_html(page_of(runs, last_round(), "/var/log/s3_upload", NOW)), encoding="utf-8")
        browser.open(path, **how)
        return path

    return opened


def column(browser: Browser, number: int) -> list[str]:
    found: list[str] = browser.value(ROWS.format(number))
    return found


def in_head(name: str) -> str:
    return f"#table thead th:nth-child({name})"


def test_everything_is_drawn_and_nothing_is_loaded(browser: Browser, show: Show) -> None:
    runs = some_runs(160)

    page = show(runs)

    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    lately = [run for run in runs if (run.ended_at or run.started_at or 0) >= NOW - 30 * DAY]
    assert browser.value("document.querySelectorAll('#timeline .run').length") == len(lately) > 60
    assert browser.value("document.querySelectorAll('#bytes .bar').length") == 31
    assert browser.value("document.querySelectorAll('#throughput .mean').length") == 1
    assert browser.value("document.getElementById('count').textContent") == "160 runs"


def test_a_click_on_a_range_draws_the_charts_anew(browser: Browser, show: Show) -> None:
    show(some_runs(160))

    browser.value("document.querySelector('input[value=\"0\"]').click()")

    assert browser.value("document.querySelectorAll('#timeline .run').length") == 160


def test_a_click_on_a_head_sorts_and_another_one_turns_it_round(browser: Browser, show: Show) -> None:
    runs = some_runs(160)
    show(runs)

    browser.click(f"{in_head('6')} button")
    by_size = sorted(runs, key=lambda run: -(run.bytes or 0))
    assert column(browser, 0) == [run.run_id for run in by_size[:50]]
    assert browser.value(f"document.querySelector('{in_head('6')}').getAttribute('aria-sort')") == "descending"

    browser.click(f"{in_head('6')} button")
    assert column(browser, 0) == [run.run_id for run in by_size[::-1][:50]]
    assert browser.value(f"document.querySelector('{in_head('6')}').getAttribute('aria-sort')") == "ascending"


def test_what_is_not_known_comes_last_in_either_order(browser: Browser, show: Show) -> None:
    runs = [run for run in some_runs(20) if run.state == "completed"][:3]
    unknown = PageRun("unknown", "M1", "completed", None, None, None, None, None, None, None, (), "", "b")
    show([*runs, unknown])

    for _ in range(2):
        browser.click(f"{in_head('8')} button")
        assert column(browser, 0)[-1] == "unknown"
    assert browser.complaints() == []


def test_words_and_choices_filter_together(browser: Browser, show: Show) -> None:
    runs = some_runs(160)
    show(runs)

    browser.click("#query")
    browser.type("m07112 CLINIC")
    wanted = {run.run_id for run in runs if "M07112" in run.run_id and "clinic" in run.destination}
    assert set(column(browser, 0)) == wanted
    assert browser.value("document.getElementById('count').textContent") == f"{len(wanted)} of 160 runs"

    state = "document.getElementById('state')"
    browser.value(f"{state}.value = [...{state}.options].find(one => one.text === 'not all sent').value")
    browser.value(f"{state}.dispatchEvent(new Event('change'))")
    assert set(column(browser, 0)) == {run.run_id for run in runs if run.run_id in wanted and run.state == "partial"}

    browser.click("#clear")
    assert browser.value("document.getElementById('count').textContent") == "160 runs"


def test_pages_are_turned(browser: Browser, show: Show) -> None:
    show(some_runs(120))

    browser.click("#last")
    assert len(column(browser, 0)) == 20
    assert browser.value("document.getElementById('where').textContent") == "Page 3 of 3"
    assert browser.value("document.getElementById('next').disabled")
    browser.click("#previous")
    assert browser.value("document.getElementById('where').textContent") == "Page 2 of 3"


def test_all_can_be_done_with_the_keyboard(browser: Browser, show: Show) -> None:
    runs = some_runs(160)
    show(runs)

    browser.press("Tab", 9)
    assert browser.value("document.activeElement.textContent") == "Skip to the table of runs"
    browser.press("Enter", 13, "\r")
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.id") == "query"
    browser.type("LH00188")
    for _ in range(4):
        browser.press("Tab", 9)
    assert browser.value("document.activeElement.getAttribute('role')") == "region"
    for _ in range(5):
        browser.press("Tab", 9)
    assert browser.value("document.activeElement.textContent.trim()") == "Files"
    browser.press("Enter", 13, "\r")

    wanted = sorted((run for run in runs if "LH00188" in run.run_id), key=lambda run: -(run.files or 0))
    assert column(browser, 0) == [run.run_id for run in wanted]


def test_a_number_of_failures_leads_to_their_reasons(browser: Browser, show: Show) -> None:
    show(some_runs(600))
    browser.click(f"{in_head('9')} button")
    last = "[...document.querySelectorAll('#table td:nth-child(9) a')].pop()"

    target = browser.value(f"{last}.hash")
    assert not browser.value(f"document.querySelector('{target}').checkVisibility()")
    browser.value(f"{last}.click()")

    assert browser.value(f"document.querySelector('{target}').checkVisibility()")
    assert browser.value(f"document.querySelector('{target}').open")


def test_a_bar_of_the_timeline_leads_to_its_run(browser: Browser, show: Show) -> None:
    show(some_runs(160))

    name = browser.value("document.querySelector('#timeline .run title').textContent").partition(":")[0]
    browser.click("#timeline .run")

    assert column(browser, 0) == [name]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_text_can_be_read_in_both_themes(browser: Browser, show: Show, width: int, dark: bool) -> None:
    show(some_runs(160), width=width, dark=dark)

    assert browser.value(LOW_CONTRAST) == []
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(13, 17, 23)" if dark else "rgb(246, 248, 250)")


def test_a_phone_shows_all_without_scrolling_sideways(browser: Browser, show: Show) -> None:
    show(some_runs(160), width=390, height=844)

    assert browser.value("document.documentElement.scrollWidth") == 390
    inside = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert browser.value(inside) == 0
    assert len(column(browser, 0)) == 20
    choice = "document.getElementById('sort')"
    browser.value(f"{choice}.value = 'bytes true', {choice}.dispatchEvent(new Event('change'))")
    biggest = max(some_runs(160), key=lambda run: run.bytes or 0)
    assert column(browser, 0)[0] == biggest.run_id
    assert browser.complaints() == []


def test_whatever_takes_the_focus_has_a_name(browser: Browser, show: Show) -> None:
    show(some_runs(60))

    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]

    focusable = [
        node
        for node in nodes
        if not node["ignored"]
        and any(one["name"] == "focusable" and one["value"]["value"] for one in node.get("properties", ()))
    ]
    assert len(focusable) > 20
    assert [node["role"]["value"] for node in focusable if not node["name"]["value"].strip()] == []
    pictures = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") in ("image", "img")]
    assert len(pictures) == 3
    assert all(pictures)


def test_names_that_look_like_markup_show_as_text(browser: Browser, show: Show) -> None:
    evil = "<script>document.title='bad'</script><img src=x onerror=\"document.title='bad'\">"
    run = PageRun(evil, evil, evil, 1, 1, 9, NOW - 60, NOW - 9, 5, 7, [(evil, evil)], evil, evil)

    page = show([run])

    assert browser.value("document.title") == "Sequencing runs in S3"
    assert column(browser, 0) == [evil]
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


def test_nothing_at_all_is_a_page_too(browser: Browser, show: Show) -> None:
    show([])

    assert browser.complaints() == []
    assert browser.value("document.getElementById('count').textContent") == "0 runs"
    assert "no runs in this time" in browser.value("document.getElementById('timeline').textContent")


def test_of_5000_runs_only_what_is_seen_is_in_the_table(browser: Browser, show: Show) -> None:
    runs = some_runs(5000, days=900)
    show(runs, width=390)

    browser.value("document.querySelector('input[value=\"0\"]').click()")
    browser.click("#query")
    browser.type("AV234501")
    wanted = sum("AV234501" in run.run_id for run in runs)

    assert browser.value("document.getElementById('count').textContent") == f"{wanted:,} of 5,000 runs"
    assert len(column(browser, 0)) == 20
    assert browser.value("document.querySelectorAll('#bytes .bar').length") < 40
    assert browser.value("document.querySelectorAll('*').length") < 15_000
    assert browser.complaints() == []
