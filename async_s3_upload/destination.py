"""What can be the name of a bucket, and a path in it; also without the machinery of the config file."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from async_s3_upload.text import printable


def is_utf8(text: str) -> bool:
    """JSON can write halves of characters, surrogates that stand for nothing."""
    return printable(text) == text


def is_web_address(text: str) -> bool:
    """Tell whether ``text`` can be the address of a server: http or https, a host, perhaps a port and a path."""
    try:
        address = urlsplit(text)
        is_one = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False
    return is_one and is_utf8(text)


def check_bucket_name(name: str) -> str:
    """Return ``name`` where it can be a bucket's, else raise ValueError with the reason."""
    if not name.strip():
        raise ValueError("must not be empty")
    if not is_utf8(name):
        raise ValueError("holds a character that no bucket name can hold")
    if "://" in name or "/" in name or any(c.isspace() for c in name):
        raise ValueError(f'give the name of the bucket alone, without "s3://", slashes or spaces, not "{name}"')
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", name):
        raise ValueError(f'a name of a bucket has letters, digits, ".", "_" and "-" only, not "{name}"')
    return name


def check_remote_path(path: str) -> str:
    """Return ``path`` where it can be the start of a key, else raise ValueError with the reason."""
    if not path:
        raise ValueError('must not be empty; "/" is the root of the bucket')
    if path.startswith("s3://"):
        raise ValueError('must be a path inside the bucket, without "s3://"')
    if not is_utf8(path):
        raise ValueError("holds a character that no key can hold")
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError(f'must not contain "." or ".." as a folder: "{path}"')
    return path
