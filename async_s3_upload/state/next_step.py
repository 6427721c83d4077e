"""What happens next with a run, or what to do: one short sentence."""

from __future__ import annotations

from datetime import datetime, timedelta

from async_s3_upload.text import plural

QUIET = timedelta(hours=24)
"""An unfinished run that nobody touched for so long may be forgotten."""
NOTHING = "nothing to do"


def next_step(state: str, *, failed: int = 0, since: datetime | None = None, now: datetime | None = None) -> str:
    """Return the sentence for a run in a state, last touched at ``since``, of which so many files failed."""
    if state == "completed":
        return NOTHING
    if state == "uploading":
        return "is being uploaded now"
    if state == "damaged":
        return "its run log is torn; the next start asks S3 what is there"
    if since is not None and now is not None and now - since > QUIET:
        return f"nothing was tried for {plural((now - since).days, 'day')}: see the log of monitor, or upload it"
    if failed:
        return f"the next start tries {plural(failed, 'failed file')} again"
    if state == "in_progress":
        return "the instrument still writes it; the next start sends what is new"
    return "was cut short; the next start goes on with what is missing"
