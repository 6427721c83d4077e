"""The command: ``python -m tests.fuzz --seconds 60``; with files, each target is run on these only."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from .fuzzer import MIB, Report, fuzz, run, save
from .target import Target
from .targets import TARGETS


def main(arguments: Sequence[str] | None = None, targets: dict[str, Target] = TARGETS) -> int:
    """Fuzz, or run given files; return 0 where no input broke a contract, else 1."""
    options = _options(arguments, sorted(targets))
    chosen = [targets[name] for name in options.target or sorted(targets)]
    if options.files:
        return max(_replay(target, path) for target in chosen for path in options.files)
    worst = 0
    for target in chosen:
        report = fuzz(target, options.seed, seconds=options.seconds, executions=options.executions)
        print(_line(target, report, options.seed), flush=True)
        if report.failure is not None:
            worst = 1
            path = save(report.failure, target, options.save_to)
            reason = report.failure.reason
            print(f"{target.name}: FAILED in execution {report.executions} of seed {options.seed}: {reason}")
            print(f"{target.name}: the input is {path}; again: python -m tests.fuzz --target {target.name} {path}")
    return worst


def _options(arguments: Sequence[str] | None, names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (60)")
    parser.add_argument("--executions", type=int, help="stop each target after so many")
    parser.add_argument("--target", action="append", choices=names, help="may be given again; all by default")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**32), help="the same seed gives the same inputs"
    )
    parser.add_argument("--save-to", default="fuzz_failures", help="folder for inputs that break a contract")
    parser.add_argument("files", nargs="*", help="inputs to run in place of fuzzing")
    return parser.parse_args(arguments)


def _replay(target: Target, path: str) -> int:
    outcome, cpu, failure = run(target, Path(path).read_bytes())
    print(f"{target.name}: {path}: {outcome if failure is None else 'FAILED: ' + failure.reason} ({cpu:.2f} s of CPU)")
    return 0 if failure is None else 1


def _line(target: Target, report: Report, seed: int) -> str:
    rate = report.executions / max(report.seconds, 1e-9)
    return (
        f"{target.name}: {report.executions} executions in {report.seconds:.0f} s ({rate:.0f} per second), "
        f"{report.big} of 1 MiB or more, {len(report.outcomes)} kinds of outcome, "
        f"the slowest took {report.slowest:.2f} s of CPU for {report.slowest_bytes / MIB:.2f} MiB; seed {seed}"
    )


if __name__ == "__main__":
    sys.exit(main())
