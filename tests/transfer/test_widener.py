"""Requests in flight become more where that helps, and only there."""

import pytest

from async_s3_upload.transfer.widener import REST, Widener

LATENCY_S = 0.03


def settle(widener: Widener, limit: float, cpu_s: float, rounds: int = 30) -> list[int]:
    """Return the numbers in flight over time where at most ``limit`` requests a second are possible."""
    number, numbers = 16, []
    for _ in range(rounds):
        rate = min(number / LATENCY_S, limit)
        number = widener.observe(rate, rate * cpu_s, full=True)
        numbers.append(number)
    return numbers


def test_where_latency_is_the_limit_it_goes_to_the_most() -> None:
    numbers = settle(Widener(16, 64), limit=1e9, cpu_s=0.0001)
    assert numbers[:4] == [24, 36, 54, 64]
    assert set(numbers[4:]) == {64}


def test_where_the_line_is_the_limit_a_step_is_taken_back_and_seldom_tried_again() -> None:
    numbers = settle(Widener(16, 64), limit=16 / LATENCY_S, cpu_s=0.0001, rounds=4 * REST)
    assert numbers[:2] == [24, 16]
    assert numbers.count(24) == 4


def test_in_between_it_stops_where_more_brings_little() -> None:
    numbers = settle(Widener(16, 64), limit=25 / LATENCY_S, cpu_s=0.0001)
    assert numbers[:4] == [24, 36, 24, 24]


def test_a_busy_process_is_not_asked_for_more() -> None:
    assert set(settle(Widener(16, 64), limit=1e9, cpu_s=0.002)) == {16}


@pytest.mark.parametrize("full", [False])
def test_while_places_are_free_nothing_is_tried(full: bool) -> None:
    widener = Widener(16, 64)
    assert {widener.observe(100.0, 0.1, full=full) for _ in range(10)} == {16}


def test_a_try_that_ran_out_of_work_proves_nothing() -> None:
    widener = Widener(16, 64)
    assert widener.observe(500.0, 0.1, full=True) == 24
    assert widener.observe(3.0, 0.1, full=False) == 24
    assert widener.observe(700.0, 0.1, full=True) == 36


def test_a_fixed_number_stays() -> None:
    assert set(settle(Widener(16, 16), limit=1e9, cpu_s=0.0001)) == {16}
