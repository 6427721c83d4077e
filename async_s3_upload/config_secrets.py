"""Webhooks in the config: the address itself, ``env:NAME`` for a variable that holds it, ``file:/path`` for a file.

The address is a secret. No problem named here shows it, nor any text that may be one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from async_s3_upload.text import printable

MOST_BYTES = 65_536
"""What is longer than this is no file with a web address."""

_VARIABLE, _FILE = "env:", "file:"
_HIDDEN = "(the value is not shown: it is a secret)"


def webhook_problem(url: str) -> str | None:
    """Return what is wrong with a web address, None where it can be one."""
    if not re.match(r"https?://[^/\s]+", url) or any(c.isspace() for c in url):
        return f"must be a web address that starts with https:// {_HIDDEN}"
    return None


def reference_problem(text: str) -> str | None:
    """Return what is wrong with the text in the config, before a variable or file is looked at."""
    if text.startswith(_VARIABLE):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text.removeprefix(_VARIABLE)):
            return f"env: must be followed by the name of a variable {_HIDDEN}"
        return None
    if text.startswith(_FILE):
        path = text.removeprefix(_FILE)
        if not os.path.isabs(path) or "\0" in path:
            return f"file: must be followed by an absolute path {_HIDDEN}"
        return None
    return webhook_problem(text)


def resolved_webhook(text: str, environ: Mapping[str, str]) -> str:
    """Return the web address that a text without ``reference_problem`` stands for.

    Raises:
        ValueError: there is none, with a sentence that names the variable or the file.
    """
    if text.startswith(_VARIABLE):
        name = text.removeprefix(_VARIABLE)
        url, where = environ.get(name, "").strip(), f"the variable {name}"
        if not url:
            raise ValueError(f"{where} is {'empty' if name in environ else 'not set'}")
    elif text.startswith(_FILE):
        path = text.removeprefix(_FILE)
        url, where = _content(path), f"the file {printable(path)}"
        if not url:
            raise ValueError(f"{where} is empty")
    else:
        return text
    if problem := webhook_problem(url):
        raise ValueError(f"{where} {problem.replace('must be', 'must hold')}")
    return url


def _content(path: str) -> str:
    """Return the text in a file, without white space around it."""
    try:
        # not waiting for somebody who writes, should it be a FIFO
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read(MOST_BYTES).decode().strip()
    except OSError as error:
        raise ValueError(f"the file {printable(path)} cannot be read: {error.strerror or error}") from None
    except UnicodeError:  # its text shows what is in the file
        raise ValueError(f"the file {printable(path)} is no UTF-8 text") from None
