"""Which alerts people were told, so that one is not told again in every round, and is known when it is over.

``<log_dir>/told.json`` holds ``{"alerts": [...]}``, each with ``kind`` (such as ``stalled``), ``subject`` (the path of
the run folder), ``cause`` (a digest: no text of unknown content lies there), ``first_told``, ``last_told``, and
``missing_since`` where the run folder is gone. Times are UTC in ISO 8601. Fields that are not known here are kept. The
file has one writer: who holds the log folder's lock.

In each round: ask ``due`` for all that is wrong, send one message, ``note`` what was sent, ask ``recovered`` for each
subject that was looked at, ``forget`` these, ``save``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.replacing import replacing

TOLD_FILE = "told.json"
DAMAGED_SUFFIX = ".damaged"
KEPT_DAYS_WITHOUT_RUN = 90
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that was told; times in seconds since the epoch.

    ``cause`` is a digest; ``missing_since`` is when its subject was first found to be gone, None while it is there.
    """

    kind: str
    subject: str
    cause: str
    first_told: float
    last_told: float
    missing_since: float | None = None
    more: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same alert."""
        return self.kind, self.subject, self.cause


def cause_digest(text: str) -> str:
    """Return the 16 hex digits that stand for the text of a cause."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Told:
    """The memory of one log folder; what is changed is in memory until ``save``."""

    def __init__(self, log_dir: str) -> None:
        """Read what is remembered, without changing anything.

        A file that is torn or none of ours counts as empty; ``problem`` then is a sentence that says so, else None.

        Raises:
            LogDirError: the file is there and cannot be read.
        """
        self.path = os.path.join(log_dir, TOLD_FILE)
        self.problem: str | None = None
        self._more: dict[str, Any] = {}
        self._alerts: dict[tuple[str, str, str], Alert] = {}
        self._holding: set[tuple[str, str, str]] = set()
        self._changed = False
        self._read()

    def due(self, kind: str, subject: str, cause: str, now: float, repeat_after_s: float | None) -> bool:
        """Say whether to tell of something that is wrong now: it was not told before, or so long ago.

        With None nothing is told twice. ``cause`` is text that stays the same while the cause does: no counts, no
        hours. Who asks says that it holds: it is not ``recovered`` in this round.
        """
        key = (kind, subject, cause_digest(cause))
        self._holding.add(key)
        alert = self._alerts.get(key)
        if alert is None:
            return True
        if repeat_after_s is None:
            return False
        return now - alert.last_told >= repeat_after_s or now < alert.last_told  # then a clock was wrong

    def note(self, kind: str, subject: str, cause: str, now: float) -> None:
        """Remember that it was told now."""
        key = (kind, subject, cause_digest(cause))
        self._holding.add(key)
        before = self._alerts.get(key)
        first_told = now if before is None else before.first_told
        self._put(Alert(*key, first_told, now, None, {} if before is None else before.more))  # the 90 days begin anew

    def recovered(self, subject: str, kinds: Collection[str] | None = None) -> list[Alert]:
        """Return what was told of a subject and no longer holds, in the order in which it was told first.

        A kind of which anything still holds has not recovered. Ask once all that is wrong with the subject was asked
        for by ``due``, and only of ``kinds`` that were looked for in this round (None: all were).
        """
        still = {key[0] for key in self._holding if key[1] == subject}
        found = [
            alert
            for alert in self._alerts.values()
            if alert.subject == subject and alert.kind not in still and (kinds is None or alert.kind in kinds)
        ]
        return sorted(found, key=lambda alert: alert.first_told)

    def forget(self, alerts: Iterable[Alert]) -> None:
        """Drop these: should they come again, they are told again."""
        for alert in alerts:
            self._changed |= self._alerts.pop(alert.key, None) is not None

    def drop_gone(self, now: float, is_there: Callable[[str], bool] = os.path.lexists) -> None:
        """Drop what was told of subjects that have been gone for KEPT_DAYS_WITHOUT_RUN days, and not told since.

        A storage that is not mounted for a while is no reason to tell everything again.
        """
        for alert in list(self._alerts.values()):
            if is_there(alert.subject):
                missing_since = None
            else:
                missing_since = now if alert.missing_since is None else min(alert.missing_since, now)
                if now - missing_since > KEPT_DAYS_WITHOUT_RUN * _DAY_S:
                    self.forget([alert])
                    continue
            if missing_since != alert.missing_since:
                self._put(Alert(*alert.key, alert.first_told, alert.last_told, missing_since, alert.more))

    def save(self) -> None:
        """Replace the file atomically and durably, where anything changed; a damaged one is kept as ``*.damaged``.

        Raises:
            LogDirError: it cannot be written; what was there before is untouched.
        """
        if not self._changed and self.problem is None:
            return
        text = json.dumps(self._more | {"alerts": [_as_json(alert) for alert in self._alerts.values()]}, indent=1)
        try:
            keep_as = None if self.problem is None else self.path + DAMAGED_SUFFIX
            with replacing(self.path, keep_as=keep_as) as file:
                file.write(f"{text}\n".encode("ascii"))
        except OSError as error:
            raise LogDirError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._changed, self.problem = False, None

    def _put(self, alert: Alert) -> None:
        self._alerts[alert.key] = alert
        self._changed = True

    def _read(self) -> None:
        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise LogDirError(f"{self.path} cannot be read: {error.strerror or error}") from error
        try:
            data = json.loads(content)
            alerts = [_from_json(entry) for entry in data["alerts"]]
            more = {name: value for name, value in data.items() if name != "alerts"}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            self.problem = (
                f"{self.path} is torn or not ours ({reason}): alerts may be told again; "
                f"it is kept as {TOLD_FILE}{DAMAGED_SUFFIX}"
            )
            return
        self._more = more
        self._alerts = {alert.key: alert for alert in alerts}


_FIELDS = frozenset({"kind", "subject", "cause", "first_told", "last_told", "missing_since"})


def _as_json(alert: Alert) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": alert.kind, "subject": alert.subject, "cause": alert.cause}
    entry |= {"first_told": _time_text(alert.first_told), "last_told": _time_text(alert.last_told)}
    if alert.missing_since is not None:
        entry["missing_since"] = _time_text(alert.missing_since)
    return entry | alert.more


def _from_json(entry: dict[str, Any]) -> Alert:
    kind, subject, cause = (entry[name] for name in ("kind", "subject", "cause"))
    if not (isinstance(kind, str) and isinstance(subject, str) and isinstance(cause, str)):
        raise TypeError("kind, subject and cause must be text")
    missing_since = entry.get("missing_since")
    return Alert(
        kind,
        subject,
        cause,
        _time(entry["first_told"]),
        _time(entry["last_told"]),
        None if missing_since is None else _time(missing_since),
        {name: value for name, value in entry.items() if name not in _FIELDS},
    )


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(math.floor(seconds), UTC).isoformat()


def _time(text: str) -> float:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return found.timestamp()
