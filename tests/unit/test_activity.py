"""What the workers do at this moment is summed up."""

from __future__ import annotations

from async_s3_upload.transfer.activity import Activity, Counts


def test_what_each_worker_said_last_counts() -> None:
    found = Activity()
    found.told("a", Counts(in_flight=3, retries=1))
    found.told("b", Counts(in_flight=4, retries=2))
    found.told("a", Counts(in_flight=5, retries=4))
    assert (found.in_flight, found.retries) == (9, 6)


def test_retries_of_a_worker_that_left_stay_counted_and_its_requests_do_not() -> None:
    found = Activity()
    found.told("a", Counts(in_flight=3, retries=2))
    found.gone("a")
    found.gone("one that never said anything")
    found.told("b", Counts(in_flight=1, retries=1))
    assert (found.in_flight, found.retries) == (1, 3)
