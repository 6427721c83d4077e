"""Whether a webhook would take a message, asked without posting one. Its address is a secret: it is in no answer."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of an empty POST: the status, or the trouble where nobody answered."""

    status: int | None
    trouble: str = ""


async def reach(webhook: str) -> Reached:
    """POST nothing to the webhook.

    Slack answers 400 to that and posts nothing, and 404 or 410 where the webhook is gone.
    """
    limit = aiohttp.ClientTimeout(total=LIMIT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as session,
            session.post(webhook, data=b"", allow_redirects=False) as answer,
        ):
            return Reached(answer.status)
    except TimeoutError:
        return Reached(None, f"no answer within {LIMIT_S:.0f} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reached(None, type(error).__name__)  # the text of the error may hold the webhook's address
