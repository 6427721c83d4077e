"""Tells trouble that dooms a whole destination from trouble of single files."""

from __future__ import annotations

from collections.abc import Collection

from async_s3_upload.transfer.messages import (
    Event,
    FailureKind,
    FileDone,
    FileFailed,
    FileOutcome,
    PartDone,
    UploadBegun,
)

RIGHT_TO_PUT = "to put objects there (s3:PutObject)"
RIGHT_TO_READ = "to ask for objects there (s3:GetObject)"
DENIED_LIMIT = 16
"""So many refused files, and not one accepted: the rest would be refused too."""
ANSWERED: Collection[FailureKind] = ("file", "changed", "missing", "different", "unproved")
"""Failures that do not speak against S3: they are no reason to give up."""


def shows_life(event: Event) -> bool:
    """Tell whether an event is a reason not to give up."""
    if isinstance(event, FileFailed):
        return event.kind in ANSWERED
    return isinstance(event, (FileDone, PartDone, UploadBegun))


class DoomWatch:
    """Watches the outcomes of one job; ``reason`` is the sentence once nothing more can succeed.

    ``some_succeeded`` says whether files of this run went to this destination before: then a 403 is a
    matter of single keys.
    """

    def __init__(self, bucket: str, *, some_succeeded: bool, right: str = RIGHT_TO_PUT) -> None:
        """Name ``right`` where everything is refused: what the credentials then lack."""
        self._bucket = bucket
        self._right = right
        self.some_succeeded = some_succeeded
        self._denied = 0
        self._last_denial = ""
        self.reason: str | None = None

    def note(self, outcome: FileOutcome) -> None:
        """Take one outcome into account."""
        if isinstance(outcome, FileDone):
            self.some_succeeded = True
        elif outcome.kind in ("no_such_bucket", "bad_credentials"):
            self.reason = f"bucket {self._bucket}: {outcome.error}"
        elif outcome.kind == "access_denied":
            self._note_denial(outcome)

    def _note_denial(self, outcome: FileFailed) -> None:
        self._denied += 1
        self._last_denial = outcome.error
        if self._denied >= DENIED_LIMIT:
            self._judge()

    def at_end(self) -> None:
        """Judge once more when every file was tried: of a few files all may have been refused."""
        if self._denied:
            self._judge()

    def _judge(self) -> None:
        if not self.some_succeeded and self.reason is None:
            self.reason = (
                f"bucket {self._bucket}: access was denied for every one of {self._denied} files tried; "
                f"the credentials lack the right {self._right}: {self._last_denial}"
            )
