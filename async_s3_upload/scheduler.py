"""What can name the scheduler of a Dask cluster; also without the machinery of the config file, and without Dask."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from async_s3_upload.text import printable


def check_scheduler(text: str) -> str:
    """Return the scheduler's address, or the absolute path of its scheduler file: ``~`` is replaced.

    A text with ``://`` is an address. Of Dask's protocols these two are taken: tcp and tls.

    Raises:
        ValueError: with the reason, where it is neither.
    """
    if not text.isprintable():
        raise ValueError("holds a character that neither an address nor the path of a scheduler file can hold")
    if "://" in text:
        if not _is_address(text):
            raise ValueError(f'must be tcp://HOST:PORT or tls://HOST:PORT, not "{printable(text)}"')
        return text
    path = os.path.expanduser(text)
    if not os.path.isabs(path):
        raise ValueError(
            "must be tcp://HOST:PORT, tls://HOST:PORT or the absolute path of a scheduler file, "
            f'not "{printable(text)}"'
        )
    return path


def _is_address(text: str) -> bool:
    try:
        found = urlsplit(text)
        host_and_port = bool(found.hostname) and bool(found.port)
    except ValueError:  # brackets that do not close, a port that is no number
        return False
    beside = found.path or found.query or found.fragment or found.username is not None
    return found.scheme in ("tcp", "tls") and host_and_port and not beside and " " not in text
