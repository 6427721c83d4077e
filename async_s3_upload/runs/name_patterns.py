"""Names and patterns of the shell that a config gives for files, in upper or lower case."""

from __future__ import annotations

import fnmatch
import re


def shell_pattern(text: str) -> re.Pattern[str]:
    """Return what fits a name without folders, in small letters.

    A name that holds the characters of patterns is also meant as it stands.
    """
    return re.compile(f"{re.escape(text.lower())}|{fnmatch.translate(text.lower())}", re.DOTALL)


class PathPattern:
    """Fits names relative to a run folder, folder by folder: ``*`` stays within one."""

    def __init__(self, text: str) -> None:
        self._parts = [shell_pattern(part) for part in text.split("/")]

    def fits(self, name: str) -> bool:
        """Tell whether the file of this name is meant."""
        parts = name.lower().split("/")
        return len(parts) == len(self._parts) and all(
            pattern.fullmatch(part) for pattern, part in zip(self._parts, parts, strict=True)
        )
