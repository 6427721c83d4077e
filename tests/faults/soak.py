"""Rounds of seeded random kills: each ends with the full check of every byte. ``python -m tests.faults.soak``."""

import argparse
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from async_s3_upload.demo.run_folder import MIB, RunShape
from benchmarks.process_tree import descendants
from tests.support import servers
from tests.support.command import RunningCommand
from tests.support.process import workers_of
from tests.support.proxy import Delay, Rule, on
from tests.support.s3server import S3Server

from .harness import (
    RUN_ID,
    Differing,
    Scenario,
    files_below,
    is_alive,
    make_master,
    scenario,
    wait_until,
    wait_until_gone,
)

SHAPE = RunShape(RUN_ID, 56, 8 * 1024, 2, 20 * MIB)
BODIES = ("PutObject", "UploadPart")
WHO = ("worker", "coordinator", "group")
AT_A_TIME = 3
MOST_KILLS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round came to. ``killed`` says who was killed after how many requests."""

    seed: int
    killed: tuple[tuple[str, int], ...]
    starts: int
    wrong: Differing
    bytes_of_run: int
    bytes_sent: int


def play(mine: Scenario, seed: int) -> Outcome:
    """Kill at random until the command is left alone, start it until it exits 0, check everything."""
    draw = random.Random(seed)
    mine.proxy.rules.append(Rule(on(*BODIES), Delay(0.02)))
    mine.keys |= {"max_threads": draw.choice((1, 2, 4, 8)), "max_cores": draw.choice((1, 2)), "request_timeout": 5}
    killed: list[tuple[str, int]] = []
    while not killed or (len(killed) < MOST_KILLS and draw.random() < 0.5):
        who, after = draw.choice(WHO), draw.randint(1, 70)
        with mine.start() as command:
            _kill_after(mine, command, who, after)
            command.wait(120)
        killed.append((who, after))
        assert mine.lies() == []
    starts = len(killed) + mine.run_until_done(timeout=120)
    size = sum((mine.run / name).stat().st_size for name in files_below(mine.run))
    sent = sum(seen.bytes for seen in mine.proxy.seen if seen.operation in BODIES)
    return Outcome(seed, tuple(killed), starts, mine.check(), size, sent)


def _kill_after(mine: Scenario, command: RunningCommand, who: str, requests: int) -> None:
    """Kill when so many more requests were seen, or leave a command alone that ended before."""
    target = len(mine.proxy.seen) + requests
    wait_until(lambda: len(mine.proxy.seen) >= target or not is_alive(command.pid), "requests come", 120)
    if who == "worker":
        with suppress(ProcessLookupError):
            for pid in workers_of(command.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
    else:
        family = descendants({command.pid})
        command.signal(signal.SIGKILL, group=who == "group")
        wait_until_gone(family - {command.pid})


def main() -> int:
    """Play the rounds and print what they came to; the exit code tells whether anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with (
        servers.seaweedfs() as server,
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        ThreadPoolExecutor(AT_A_TIME) as pool,
    ):
        master = make_master(Path(folder), SHAPE)
        rounds = [
            pool.submit(_round, Path(folder), master, server, options.seed * 10_000 + number)
            for number in range(options.rounds)
        ]
        outcomes = []
        for number, waiting in enumerate(rounds, 1):
            outcomes.append(waiting.result())
            print(f"{number}: {_line(outcomes[-1])}", flush=True)
    print(summary(outcomes, time.monotonic() - began))
    return int(any(outcome.wrong for outcome in outcomes))


def _round(folder: Path, master: Path, server: S3Server, seed: int) -> Outcome:
    name = f"soak-{seed}-{secrets.token_hex(4)}"
    with scenario(folder / name, master, server, name) as mine:
        try:
            return play(mine, seed)
        finally:
            shutil.rmtree(folder / name, ignore_errors=True)


def _line(outcome: Outcome) -> str:
    again = outcome.bytes_sent / outcome.bytes_of_run - 1
    killed = ", ".join(f"{who} after {requests}" for who, requests in outcome.killed)
    return f"seed {outcome.seed}: {killed}; {outcome.starts} starts, {again:.1%} sent again {outcome.wrong or ''}"


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the figures of all rounds in a line."""
    kinds = Counter(who for outcome in outcomes for who, _ in outcome.killed)
    sent, size = sum(o.bytes_sent for o in outcomes), sum(o.bytes_of_run for o in outcomes)
    return (
        f"{len(outcomes)} rounds, {kinds.total()} kills ({', '.join(f'{n} {who}' for who, n in kinds.items())}), "
        f"{sum(outcome.starts for outcome in outcomes)} starts: "
        f"{sum(len(o.wrong.lost) for o in outcomes)} lost, {sum(len(o.wrong.different) for o in outcomes)} different, "
        f"{sum(len(o.wrong.dangling) for o in outcomes)} dangling, "
        f"{sum(len(o.wrong.extra) + len(o.wrong.state) for o in outcomes)} other faults, "
        f"{sent / size - 1:.1%} of the bytes sent again, {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
