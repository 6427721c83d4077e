"""The document that the script of the report page reads: runs as rows, words that come again standing once. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from async_s3_upload.text import one_line, printable

MOST_CHARACTERS = 300
STATE_WORDS = {
    "completed": "complete",
    "partial": "not all sent",
    "in_progress": "in progress",
    "uploading": "uploading",
    "damaged": "log damaged",
}


@dataclass(frozen=True, slots=True)
class PageRun:
    """A run on the page. Times are seconds since the epoch, None where they are not known.

    ``state`` is that of a run summary. ``files`` of ``total`` files are in S3, with ``bytes``. ``seconds`` and ``rate``
    (bytes per second) are those of the upload. ``ended_at`` is when the run was last worked on. ``failures`` are pairs
    of file name and reason.
    """

    run_id: str
    sequencer: str
    state: str
    files: int | None
    total: int | None
    bytes: int | None
    started_at: float | None
    ended_at: float | None
    seconds: float | None
    rate: float | None
    failures: Sequence[tuple[str, str]]
    next_step: str
    destination: str


def document(runs: Sequence[PageRun], named: Sequence[int], now: float) -> dict[str, Any]:
    """Return the document: ``columns`` says what stands where in a row of ``runs``.

    ``named`` are the places of runs whose failures the page names, in its order.
    """
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(clean(text), len(texts))

    numbers = {place: order for order, place in enumerate(named)}
    rows = [
        {
            "run": clean(run.run_id),
            "sequencer": number(run.sequencer),
            "state": number(STATE_WORDS.get(run.state, run.state)),
            "files": run.files,
            "total": run.total,
            "bytes": run.bytes,
            "start": _whole(run.started_at),
            "end": _whole(run.ended_at),
            "seconds": _whole(run.seconds),
            "rate": _whole(run.rate),
            "failed": len(run.failures),
            "next": number(run.next_step),
            "destination": number(run.destination),
            "named": numbers.get(place),
        }
        for place, run in enumerate(runs)
    ]
    columns = list(rows[0]) if rows else []
    return {"made": round(now), "columns": columns, "texts": list(texts), "runs": [list(row.values()) for row in rows]}


def script_json(value: Any) -> str:
    """Return JSON that holds none of ``<``, ``>`` and ``&``: no text in there ends the script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def clean(text: str) -> str:
    """Return the text as it may stand on the page: printable, on one line, and not without end."""
    shown = one_line(printable(text))
    return shown if len(shown) <= MOST_CHARACTERS else shown[: MOST_CHARACTERS - 1] + "…"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
