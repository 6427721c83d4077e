"""The browser that pages are looked at in."""

import os
from collections.abc import Iterator

import pytest

from tests.support.browser import MISSING, Browser, find_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One page of a Chromium. Without one the tests are skipped, and fail where REQUIRE_BROWSER is set."""
    program = find_browser()
    if program is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with Browser(program) as found:
        yield found
