"""Requests in flight become more where that helps, and only there."""

from async_s3_upload.transfer.engine.widener import REST, Widener

LATENCY_S = 0.03


def settle(widener: Widener, limit: float, cpu_s: float, rounds: int = 30) -> list[int]:
    """Return the numbers in flight over time where at most ``limit`` requests a second are possible.

    Right after a change less gets done: connections have to be opened.
    """
    number, numbers, changed = 16, [16], False
    for _ in range(rounds):
        rate = min(number / LATENCY_S, limit) * (0.5 if changed else 1)
        number = widener.observe(rate, rate * cpu_s, full=True)
        changed = number != numbers[-1]
        numbers.append(number)
    return numbers[1:]


def test_where_latency_is_the_limit_it_goes_to_the_most_in_a_few_looks() -> None:
    numbers = settle(Widener(16, 128), limit=1e9, cpu_s=0.0001)
    assert numbers[:7] == [32, 32, 64, 64, 128, 128, 128]
    assert set(numbers[7:]) == {128}


def test_where_the_line_is_the_limit_a_step_is_taken_back_and_seldom_tried_again() -> None:
    numbers = settle(Widener(16, 64), limit=16 / LATENCY_S, cpu_s=0.0001, rounds=4 * REST)
    assert numbers[:3] == [32, 32, 16]
    assert 4 <= numbers.count(32) <= 8


def test_in_between_it_stops_where_more_brings_little() -> None:
    numbers = settle(Widener(16, 64), limit=40 / LATENCY_S, cpu_s=0.0001, rounds=REST)
    assert numbers[:5] == [32, 32, 64, 64, 32]
    assert set(numbers[5:]) == {32}


def test_a_busy_process_is_not_asked_for_more() -> None:
    assert set(settle(Widener(16, 64), limit=1e9, cpu_s=0.002)) == {16}


def test_while_places_are_free_nothing_is_tried() -> None:
    widener = Widener(16, 64)
    assert {widener.observe(100.0, 0.1, full=False) for _ in range(10)} == {16}


def test_a_try_that_ran_out_of_work_proves_nothing() -> None:
    widener = Widener(16, 64)
    assert widener.observe(500.0, 0.1, full=True) == 32
    assert widener.observe(3.0, 0.1, full=False) == 32
    assert widener.observe(900.0, 0.1, full=True) == 64


def test_a_fixed_number_stays() -> None:
    assert set(settle(Widener(16, 16), limit=1e9, cpu_s=0.0001)) == {16}
