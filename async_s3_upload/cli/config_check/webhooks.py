"""Whether the webhooks of a config would take a message; none is posted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from async_s3_upload.cli.config_check.findings import Finding
from async_s3_upload.cli.session import alert_webhook
from async_s3_upload.config import Config
from async_s3_upload.notify.reach import Reached, reach

_GONE = (401, 403, 404, 410)


async def check_webhooks(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """Send an empty POST to each webhook, which Slack refuses with 400 and does not post."""
    named = {
        "Slack webhook for successes": config.log_webhook,
        "Slack webhook for failures": alert_webhook(config.alert_webhook, environ),
    }
    known: dict[str, list[str]] = {}
    for name, webhook in named.items():
        if webhook:
            known.setdefault(webhook, []).append(name)
    if not known:
        advice = "set slack_alert_webhook if people should be told"
        return [Finding("webhook", "ok", "Slack", f"no webhook is set, nobody is told of anything; {advice}")]
    answers = await asyncio.gather(*map(reach, known))
    return [webhook_finding(" and ".join(names), answer) for names, answer in zip(known.values(), answers, strict=True)]


def webhook_finding(subject: str, answer: Reached) -> Finding:
    """Return what an answer to an empty POST tells; pure."""
    status = answer.status
    if status is None:
        text = f"cannot be reached: {answer.trouble}"
        return Finding("webhook", "problem", subject, text, "check network, proxy and the address (it is not shown)")
    if status == 400 or 200 <= status < 300:
        return Finding("webhook", "ok", subject, f"answers ({status} to an empty request; nothing was posted)")
    if status in _GONE:
        return Finding(
            "webhook", "problem", subject, f"is not valid (any more): it answered {status}", "make a new one"
        )
    return Finding(
        "webhook", "warning", subject, f"answered {status} to an empty request", "look whether Slack is down"
    )
