"""How the last rounds of ``monitor`` ended: ``<log_dir>/rounds.jsonl``, a JSON line for each, the newest last.

Its one writer is who holds the log folder's lock; others may read meanwhile. A line has ``ended_at`` (UTC, ISO 8601),
``exit_code``, ``seconds``, how many runs were ``uploaded``, ``failed``, ``in_progress`` and ``skipped``,
``bytes_sent``, and ``problems``, sentences.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.replacing import replacing
from async_s3_upload.state.run_log_entries import typed
from async_s3_upload.text import one_line, printable

ROUNDS_FILE = "rounds.jsonl"
KEPT = 10_000
SPARE = 1_000
"""So many more lines there may be before the file is written anew: not in each round."""
MOST_PROBLEMS = 20
MOST_CHARACTERS = 500
"""Of one problem."""


@dataclass(frozen=True, slots=True)
class Round:
    """The outcome of a round. ``bytes_sent`` counts what went to S3, without what was tried again.

    ``in_progress`` runs are those of which files went up, or could have, while the instrument wrote them.
    """

    ended_at: datetime
    exit_code: int
    seconds: float
    uploaded: int = 0
    failed: int = 0
    in_progress: int = 0
    skipped: int = 0
    bytes_sent: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds in the order of their ends, and a sentence where lines could not be read."""

    rounds: tuple[Round, ...] = ()
    problem: str | None = None


def append_round(log_dir: str, done: Round) -> None:
    """Add a round; of a file that grew too long the last KEPT lines stay, and it is replaced atomically.

    Raises:
        LogDirError: it cannot be written.
    """
    path = os.path.join(log_dir, ROUNDS_FILE)
    try:
        with open(path, "ab+") as file:
            file.seek(0)
            lines = file.read().splitlines(keepends=True)
            torn = b"\n" if lines and not lines[-1].endswith(b"\n") else b""
            file.write(torn + _line(done))
        if len(lines) >= KEPT + SPARE:
            with replacing(path) as file:
                file.writelines([*lines[1 - KEPT :], torn, _line(done)])
    except OSError as error:
        raise LogDirError(f"{path} cannot be written: {error.strerror or error}") from error


def read_rounds(log_dir: str, most: int = KEPT) -> Rounds:
    """Read the last ones; none where no round was written down."""
    path = os.path.join(log_dir, ROUNDS_FILE)
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()[-most:]
    except FileNotFoundError:
        return Rounds()
    except OSError as error:
        return Rounds(problem=f"{path} cannot be read: {error.strerror or error}")
    rounds: list[Round] = []
    odd = 0
    for line in lines:
        try:
            rounds.append(_round(line))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            odd += 1
    problem = f"{path}: {odd} of the last {len(lines):,} lines cannot be read" if odd else None
    return Rounds(tuple(rounds), problem)


def _line(done: Round) -> bytes:
    problems = [_shortened(one_line(printable(problem))) for problem in done.problems[:MOST_PROBLEMS]]
    data = {
        "ended_at": done.ended_at.astimezone(UTC).isoformat(timespec="seconds"),
        "exit_code": done.exit_code,
        "seconds": round(done.seconds, 3),
        "uploaded": done.uploaded,
        "failed": done.failed,
        "in_progress": done.in_progress,
        "skipped": done.skipped,
        "bytes_sent": done.bytes_sent,
        "problems": problems,
    }
    return json.dumps(data).encode() + b"\n"


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _round(line: bytes) -> Round:
    data: dict[str, Any] = typed(json.loads(line), dict)
    ended_at = datetime.fromisoformat(data["ended_at"])
    if ended_at.tzinfo is None:
        raise ValueError(data["ended_at"])
    counts = ("uploaded", "failed", "in_progress", "skipped", "bytes_sent")
    return Round(
        ended_at,
        typed(data["exit_code"], int),
        float(data["seconds"]),
        **{name: typed(data[name], int) for name in counts},
        problems=tuple(typed(problem, str) for problem in typed(data["problems"], list)),
    )
