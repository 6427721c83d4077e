"""A short round of each target, from a fixed seed, and what `make fuzz` does when a parser breaks its contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import fuzzer
from .__main__ import main
from .fuzzer import BIG_EVERY, MIB, fuzz, run
from .target import Target
from .targets import TARGETS


def target(check: Callable[[bytes], str], max_bytes: int = 4 * MIB) -> Target:
    return Target("odd", check, lambda: [b"good,sheet\n", b"one more\n"], (b"a", b",", b"\n"), max_bytes)


def fussy(content: bytes) -> str:
    if b"a" in content and b"\n\n" in content:
        raise KeyError("no\nsuch")
    return "fine"


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_round_breaks_no_contract(name: str) -> None:
    report = fuzz(TARGETS[name], seed=1, executions=BIG_EVERY + 200, timed=False)
    assert report.failure is None, report.failure
    assert report.executions == BIG_EVERY + 200
    assert report.big >= 1
    assert len(report.outcomes) >= 10


def test_the_sheets_made_by_a_short_round_are_read_and_refused_alike() -> None:
    report = fuzz(TARGETS["samplesheet"], seed=2, executions=1_000, timed=False)
    read = sum(times for outcome, times in report.outcomes.items() if outcome.endswith("samples"))
    assert 100 < read < 900


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others() -> None:
    def inputs(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        fuzz(target(lambda content: seen.append(content) or "fine"), seed, executions=200)  # type: ignore[func-returns-value]
        return seen

    assert inputs(1) == inputs(1) != inputs(2)


def test_the_inputs_come_near_the_longest_that_is_taken_and_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzer, "BIG_EVERY", 5)
    sizes: set[int] = set()

    def check(content: bytes) -> str:
        sizes.add(len(content))
        return "fine"

    fuzz(target(check, 3000 * 16), seed=1, executions=200, timed=False)
    assert {3000, 24000, 48000, 48001} <= sizes


def test_a_parser_that_lets_an_exception_slip_fails_with_its_input_made_small_saved_and_the_seed_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seed", "7", "--executions", "5000", "--save-to", str(tmp_path / "new")]
    assert main(arguments, {"odd": target(fussy)}) == 1
    shown = capsys.readouterr().out
    assert "odd: FAILED in execution" in shown
    assert "of seed 7: KeyError: 'no\\nsuch'" in shown
    (saved,) = (tmp_path / "new").iterdir()
    assert sorted(saved.read_bytes()) == sorted(b"a\n\n")
    assert f"again: python -m tests.fuzz --target odd {saved}" in shown


def test_a_saved_input_can_be_run_again_until_it_is_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "input").write_bytes(b"a\n\n")
    assert main([str(tmp_path / "input")], {"odd": target(fussy)}) == 1
    assert "FAILED: KeyError" in capsys.readouterr().out
    assert main([str(tmp_path / "input")], {"odd": target(lambda _: "fine")}) == 0


def test_a_round_without_failure_tells_its_rate_and_seed_and_saves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seed", "7", "--executions", "300", "--save-to", str(tmp_path / "new")]
    assert main(arguments, {"odd": target(lambda _: "fine")}) == 0
    shown = capsys.readouterr().out
    assert "odd: 300 executions in" in shown
    assert "per second" in shown
    assert "1 kinds of outcome" in shown
    assert "seed 7" in shown
    assert not (tmp_path / "new").exists()


def test_an_input_that_takes_too_much_cpu_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[int] = itertools.count()  # each look at the clock is a second later
    monkeypatch.setattr("tests.fuzz.fuzzer.time.process_time", lambda: next(clock))
    _, cpu, failure = run(target(lambda _: "fine"), b"x")
    assert cpu == 1
    assert failure is not None
    assert run(target(lambda _: "fine"), b"x", timed=False)[2] is None
    assert failure.reason == "Slow: 1.00 s of CPU for 1 bytes, at most 0.25 are allowed"


def test_an_input_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzer, "HANG", 0.05)

    def check(content: bytes) -> str:
        for _ in itertools.count():
            pass
        return "never"

    report = fuzz(target(check), seed=1, executions=10)
    assert report.failure is not None
    assert report.failure.reason == "Hang: stopped after 0 s of CPU for 11 bytes"
    assert report.executions == 1
