"""Alerts of ``monitor``: each cause is told once, again after a while if it goes on, and once more when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from async_s3_upload.errors import LogDirError
from async_s3_upload.notify import slack
from async_s3_upload.state.told import Alert, Told

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now.

    ``subject`` is the path of what it is about. ``cause`` stays the same while the cause does: no counts, no hours.
    """

    kind: str
    subject: str
    cause: str


class Alerts:
    """What people were and are alerted of; for one round, by who holds the lock of the log folder.

    In each round: ask ``due`` for all that is wrong and ``tell`` what is, ask ``over`` for what was looked at and is in
    order, ``tell_recovered`` at the end. What Slack does not take is due again in the next round. Where ``log_dir``
    cannot be read or written nothing is remembered: then everything is due in each round.
    """

    def __init__(
        self, log_dir: str, webhook: str | None, repeat_after_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Without a webhook the log is all there is, and counts as told."""
        self._webhook = webhook
        self._repeat_after_s = repeat_after_s
        self._clock = clock
        self._over: dict[str, list[Alert]] = {}
        self._told: Told | None = None
        try:
            self._told = Told(log_dir)
        except LogDirError as error:
            log.error("%s: alerts may be told again", error)
        else:
            if self._told.problem is not None:
                log.error("%s", self._told.problem)

    def due(self, troubles: Sequence[Trouble], *, repeated: bool = True) -> list[Trouble]:
        """Return those to be told: not told yet, or, where they are ``repeated``, so long ago. None comes twice."""
        told, now = self._told, self._clock()
        wanted = list(dict.fromkeys(troubles))
        if told is None:
            return wanted
        after_s = self._repeat_after_s if repeated else None
        return [it for it in wanted if told.due(it.kind, it.subject, it.cause, now, after_s)]

    async def tell(self, text: str, troubles: Sequence[Trouble]) -> None:
        """Send one message for these troubles, and remember it."""
        if not await self._post(text) or self._told is None:
            return
        now = self._clock()
        for trouble in troubles:
            self._told.note(trouble.kind, trouble.subject, trouble.cause, now)
        self._save()

    def over(self, subject: str, kind: str, words: str | None = None) -> None:
        """Of a subject nothing of that kind is wrong any more, unless ``due`` was asked for it in this round.

        Where people were told of it they are to be told so in these ``words``; with None it is just forgotten.
        """
        if self._told is None:
            return
        found = self._told.recovered(subject, (kind,))
        if found and words is None:
            self._told.forget(found)
        elif found and words is not None:
            self._over.setdefault(words, []).extend(found)

    async def tell_recovered(self) -> None:
        """Tell, in one message, what is ``over``; and forget what was told of folders that are gone for long."""
        if self._told is None:
            return
        if self._over:
            for words in self._over:
                log.info("recovered: %s", words)
            if await self._post(slack.recovered_text(list(self._over))):
                for alerts in self._over.values():
                    self._told.forget(alerts)
        self._told.drop_gone(self._clock())
        self._save()

    async def _post(self, text: str) -> bool:
        return self._webhook is None or await slack.post(self._webhook, text)

    def _save(self) -> None:
        if self._told is None:
            return
        try:
            self._told.save()
        except LogDirError as error:
            log.error("%s: alerts may be told again", error)
