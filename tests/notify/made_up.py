"""Made-up runs for the report page: the same each time."""

import random

from async_s3_upload.notify.page import PageRound, PageRun
from async_s3_upload.state.next_step import next_step

NOW = 1_795_000_000.0
DAY = 86_400.0
SEQUENCERS = (
    ("A01234", "NovaSeq 6000"),
    ("A01877", "NovaSeq 6000"),
    ("LH00188", "NovaSeq X"),
    ("VH00455", "NextSeq 1000/2000"),
    ("M07112", "MiSeq"),
    ("AV234501", "Element AVITI"),
    ("MN01303", "MiniSeq"),
)
REASONS = (
    "AccessDenied: not allowed to put objects there",
    "the file changed while it was read",
    "Permission denied",
    "no answer within 30 s",
)


def some_runs(count: int, seed: int = 7, days: float = 60.0) -> list[PageRun]:
    """So many runs of the last ``days``, newest last."""
    chance = random.Random(seed)
    return [_run(number, count, days, chance) for number in range(count)]


def _run(number: int, count: int, days: float, chance: random.Random) -> PageRun:
    serial, platform = chance.choice(SEQUENCERS)
    start = NOW - days * DAY * (count - number) / count
    size = int(chance.choice((8e9, 60e9, 120e9, 900e9)) * chance.uniform(0.6, 1.2))
    rate = chance.uniform(90e6, 420e6)
    fails = chance.random() < 0.06
    going = not fails and number > count - 4
    files = chance.randrange(900, 9000)
    failures = [
        (f"Data/Intensities/BaseCalls/L001/C{c}.1/L001_{c % 2 + 1}.cbcl", chance.choice(REASONS)) for c in range(1, 8)
    ]
    end = min(NOW - 600, start + (chance.uniform(0.3, 1.9) * DAY if number % 3 == 0 else size / rate))
    state = "partial" if fails else "in_progress" if going else "completed"
    return PageRun(
        run_id=f"{250_000 + number}_{serial}_{number:04d}_AH{chance.randrange(16**6):06X}DSX7",
        sequencer=f"{serial} · {platform}",
        state=state,
        files=files - 7 * fails,
        total=files,
        bytes=size,
        started_at=start,
        ended_at=None if going and number % 2 else end,
        seconds=size / rate,
        rate=rate,
        failures=failures if fails else (),
        next_step=next_step(state, failed=7 * fails) if state != "completed" else "",
        destination=f"lab-runs-{chance.choice(('eu', 'clinic'))}:/{serial.lower()}",
    )


def last_round() -> PageRound:
    """A round that left something undone."""
    problem = "/data/seq3 cannot be read: Permission denied"
    return PageRound(NOW - 420, 3, uploaded=2, failed=1, problems=[problem])
