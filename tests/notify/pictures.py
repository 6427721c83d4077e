"""Takes the pictures of the report page that stand in the documents: `python -m tests.notify.pictures`."""

import tempfile
from pathlib import Path

from async_s3_upload.notify.page import page_of
from async_s3_upload.notify.page_html import page_html
from tests.support.browser import MISSING, Browser, find_browser

from .made_up import NOW, last_round, some_runs

FOLDER = Path(__file__).parents[2] / "docs" / "img"


def main() -> None:
    """Take them, of made-up runs."""
    program = find_browser()
    if program is None:
        raise SystemExit(MISSING)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Browser(program) as browser:
        page = Path(folder, "page.html")
        page.write_text(page_html(page_of(some_runs(160), last_round(), "/var/log/s3_upload", NOW)), encoding="utf-8")
        clock = f"Date.now = () => {NOW * 1000 + 60_000}"  # it says how long ago the page was made
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=clock)
        browser.open(page, width=1280, height=1080)
        (FOLDER / "report-desktop-light.png").write_bytes(browser.picture())
        browser.open(page, width=390, height=844, dark=True)
        browser.value("scrollTo({top: 700, behavior: 'instant'})")
        (FOLDER / "report-phone-dark.png").write_bytes(browser.picture())


if __name__ == "__main__":
    main()
