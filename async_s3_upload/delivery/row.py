"""What became of one run: a row of ``--json`` and a line of a dry run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from async_s3_upload.runs.instrument import Instrument
from async_s3_upload.runs.selection import Reason
from async_s3_upload.text import plural, printable, size_text

State = Literal["uploaded", "partial", "skipped", "would_upload", "would_resume", "in_progress"]


@dataclass(slots=True)
class RunRow:
    """One run to one destination.

    ``files`` and ``bytes`` are what the run holds, None where it was not looked into; ``uploaded_files`` and
    ``uploaded_bytes`` count what this command sent; ``failed_files`` pairs absolute paths with reasons; ``seconds`` is
    the time taken. ``rule`` is the phrase that says what ends the run, None where nobody asked.
    """

    run_id: str
    run_path: str
    bucket: str
    prefix: str
    state: State
    reason: Reason
    detail: str = ""
    files: int | None = None
    bytes: int | None = None
    uploaded_files: int = 0
    failed_files: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    instrument: Instrument | None = None
    rule: str | None = None
    uploaded_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        return {
            "run_id": printable(self.run_id),
            "run_path": printable(self.run_path),
            "bucket": self.bucket,
            "prefix": printable(self.prefix),
            "state": self.state,
            "reason": self.reason,
            "detail": printable(self.detail),
            "files": self.files,
            "bytes": self.bytes,
            "uploaded_files": self.uploaded_files,
            "uploaded_bytes": self.uploaded_bytes,
            "failed_files": [{"path": printable(path), "error": error} for path, error in self.failed_files],
            "seconds": round(self.seconds, 3),
            "instrument": None if self.instrument is None else _instrument_json(self.instrument),
            "rule": None if self.rule is None else printable(self.rule),
        }

    def as_line(self) -> str:
        """Return the line that a dry run prints."""
        path = printable(self.run_path)
        rule = "" if self.rule is None else f"; {printable(self.rule)}"
        if self.state == "skipped":
            shown = rule if self.reason in ("not_complete", "failed_on_instrument") else ""
            return f"{path} would be skipped: {WORDS[self.reason]} ({printable(self.detail)}{shown})"
        amount = f"{plural(self.files or 0, 'file')}, {size_text(self.bytes or 0)}"
        return (
            f"{path} would be uploaded to {self.bucket}:{printable(self.prefix)} "
            f"({WORDS[self.reason]}: {printable(self.detail)}{rule}; {amount})"
        )


def _instrument_json(instrument: Instrument) -> dict[str, str | None]:
    texts = {"platform": instrument.platform, "serial": instrument.serial, "software": instrument.software}
    return {name: None if text is None else printable(text) for name, text in texts.items()}


WORDS: dict[Reason, str] = {
    "new": "new",
    "partial": "partial",
    "already_uploaded": "uploaded",
    "not_complete": "not complete",
    "too_old": "too old",
    "samples_do_not_match": "samples do not match",
    "no_sample_sheet": "no usable sample sheet",
    "failed_files": "failed files",
    "run_does_not_match": "run does not match",
    "instrument_does_not_match": "instrument does not match",
    "failed_on_instrument": "failed on the instrument",
    "in_progress": "in progress",
    "changed": "changed after it was complete",
}
