"""How names, sizes and times are written for people, logs and JSON."""

from __future__ import annotations


def printable(name: str) -> str:
    r"""Return ``name`` as text that any UTF-8 output takes: bytes that are no UTF-8 become ``\xNN``.

    >>> printable("a" + chr(0xDCFF))
    'a\\xff'
    """
    if name.isascii():
        return name
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte, e.g. out of a JSON file
        return name.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    r"""Return ``text`` with control characters written as ``\xNN``: a file's name cannot forge lines of a log.

    >>> one_line("a" + chr(10) + "b")
    'a\\x0ab'
    """
    if text.isprintable():
        return text
    return "".join(char if char == "\t" or not _is_control(char) else f"\\x{ord(char):02x}" for char in text)


def _is_control(char: str) -> bool:
    return ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0


def plural(count: int, noun: str) -> str:
    """Return e.g. ``1 file``, ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_text(size: float) -> str:
    """Return a size in bytes as people read it, in decimal units: ``27.3 kB``, ``102 GB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size) < 999.5:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1000
    return f"{size:,.3f} PB"


def duration_text(seconds: float) -> str:
    """Return a duration as ``3.2 s``, ``4m 10s`` or ``2h 05m``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"
