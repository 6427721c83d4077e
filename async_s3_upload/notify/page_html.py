"""The report page as HTML: one file that needs nothing else, and may load nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from async_s3_upload import __version__

if TYPE_CHECKING:
    from async_s3_upload.notify.page import Page

_SCRIPTS = ("text.js", "charts.js", "table.js", "main.js")


def page_html(page: Page) -> str:
    """Return the page. Its policy lets only this script and this style act, and nothing be fetched."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    script = '"use strict";\n' + "".join(_part(name) for name in _SCRIPTS)
    style = _part("style.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=FunctionLoader(_part), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # marked safe is what lies in this package, and JSON without markup characters; everything else is escaped
    return environment.get_template("page.html.j2").render(
        page=page,
        data=Markup(page.data),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style=Markup(style),  # noqa: S704
        policy=policy,
        version=__version__,
    )


def _part(name: str) -> str:
    return files(__package__).joinpath("report_page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
