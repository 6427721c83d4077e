"""Multipart uploads in progress: which of them are ours, which nothing will go on with, and their end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from async_s3_upload.state.known_runs import KnownRun, Protection, known_runs, protection
from async_s3_upload.text import printable
from async_s3_upload.transfer.stores.inspect import abort_uploads, list_open_uploads
from async_s3_upload.transfer.stores.store import ListedUpload, ObjectStore, StoreError

DAY_S = 86_400.0

Reason = Literal["stale", "young", "journal", "unreadable_journal", "not_ours"]
Action = Literal["would_abort", "aborted", "kept", "failed"]

_WEIGHT: Sequence[Reason] = ("journal", "unreadable_journal", "young", "stale", "not_ours")
"""Which reason counts where an upload lies under several destinations."""
_WORDS: dict[Reason, str] = {
    "stale": "nothing will go on with it",
    "young": "it is younger than the limit",
    "journal": "a journal knows it, the next start of its run goes on",
    "unreadable_journal": "the journal of its run cannot be read",
    "not_ours": "no run log tells that it is ours",
}
_ACTIONS: dict[Action, str] = {
    "would_abort": "would be aborted",
    "aborted": "aborted",
    "kept": "kept",
    "failed": "could not be aborted",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where runs go. With ``known_runs_only`` only keys below runs with a run log are ours, else all under the path."""

    bucket: str
    remote_path: str
    known_runs_only: bool

    @property
    def prefix(self) -> str:
        """Start of all keys, empty or with a slash at the end."""
        parent = self.remote_path.strip("/")
        return f"{parent}/" if parent else ""


@dataclass(slots=True)
class SeenUpload:
    """One multipart upload in progress; ``age_s`` is its age in seconds."""

    bucket: str
    key: str
    upload_id: str
    age_s: float
    reason: Reason
    action: Action
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        return {
            "bucket": self.bucket,
            "key": printable(self.key),
            "upload_id": self.upload_id,
            "age_days": round(self.age_s / DAY_S, 3),
            "action": self.action,
            "reason": self.reason,
            "detail": printable(self.error),
        }

    def as_line(self) -> str:
        """Return the line for people."""
        why = f": {printable(self.error)}" if self.error else f" ({_WORDS[self.reason]})"
        age = f"{self.age_s / DAY_S:.1f} days old"
        return f"{_ACTIONS[self.action]}: {self.bucket}:{printable(self.key)}, {age}, id {self.upload_id[:8]}...{why}"


def judge(
    upload: ListedUpload,
    destination: Destination,
    run_ids: Collection[str],
    guarded: Protection,
    limit_s: float,
    now: float,
) -> Reason:
    """Return why an upload is kept, or ``stale``; pure. ``run_ids`` are all that are remembered."""
    run_id, slash, _ = upload.key[len(destination.prefix) :].partition("/")
    if upload.upload_id in guarded.upload_ids or upload.key in guarded.keys:
        return "journal"
    if slash and printable(run_id) in guarded.run_ids:
        return "unreadable_journal"
    if destination.known_runs_only and (not slash or printable(run_id) not in run_ids):
        return "not_ours"
    return "stale" if now - upload.initiated >= limit_s else "young"


def known_ids(runs: Iterable[KnownRun]) -> set[str]:
    """Return all names that remembered runs may have."""
    return {run_id for run in runs for run_id in run.run_ids}


async def look(
    store: ObjectStore, destinations: Sequence[Destination], log_dir: str, limit_s: float, now: float
) -> tuple[list[SeenUpload], list[str]]:
    """List the uploads in progress under the destinations; also returns what could not be looked at.

    Raises:
        LogDirError: the run logs cannot be listed: nobody knows what is still needed.
    """
    listed: list[tuple[Destination, ListedUpload]] = []
    problems = []
    for destination in destinations:
        try:
            found = await list_open_uploads(store, destination.bucket, destination.prefix)
        except StoreError as error:
            problems.append(f"bucket {destination.bucket}: multipart uploads cannot be listed: {error}")
        else:
            listed += [(destination, upload) for upload in found if upload.key.startswith(destination.prefix)]
    # read after the listing: the intention to begin an upload is in the journal before the upload exists
    runs = known_runs(log_dir)
    guarded, run_ids = protection(runs), known_ids(runs)
    # destinations may lie within each other: an upload that one of them has to keep is kept
    reasons: dict[tuple[str, ListedUpload], list[Reason]] = {}
    for destination, upload in listed:
        reason = judge(upload, destination, run_ids, guarded, limit_s, now)
        reasons.setdefault((destination.bucket, upload), []).append(reason)
    seen = []
    for (bucket, upload), all_of_it in reasons.items():
        first = min(all_of_it, key=_WEIGHT.index)
        action: Action = "would_abort" if first == "stale" else "kept"
        age_s = max(0.0, now - upload.initiated)
        seen.append(SeenUpload(bucket, upload.key, upload.upload_id, age_s, first, action))
    return seen, [*problems, *guarded.problems]


async def abort_stale(store: ObjectStore, uploads: Iterable[SeenUpload]) -> None:
    """Abort those that nothing will go on with; how it went is in each."""
    for upload in uploads:
        if upload.reason != "stale":
            continue
        try:
            await abort_uploads(store, upload.bucket, [(upload.key, upload.upload_id)], lambda _key, _upload_id: None)
        except StoreError as error:
            upload.action, upload.error = "failed", str(error)
        else:
            upload.action = "aborted"
