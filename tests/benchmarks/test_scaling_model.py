"""The model of scaling: formulas and simulation agree where the answer is known, and with what was measured."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scaling_model.formulas import Limit, bottleneck, coordinator_seconds, seconds, times
from benchmarks.scaling_model.parts_of_site import Pipe, Requests
from benchmarks.scaling_model.setups import BIG, LOCAL, limits, limits_text, point, predicted_seconds
from benchmarks.scaling_model.simulation import Simulated, simulate
from benchmarks.scaling_model.site import GBIT, HISEQ, MIB, NOVASEQ_6000, NOVASEQ_X, WORKLOADS, Costs, Faults, Site
from benchmarks.scaling_model.site import Workload as Load

MEASURED = Path(__file__).parents[2] / "benchmarks/results/peers_sink_20261124_202707.json"
FREE = Costs(0.0, 0.0, 0.0, 0.0, 0.0)
FILES = Load("files", ((2_000, 1_000_000),))
PARTS = Load("parts", ((40, 10 * 8 * MIB),))


def site(**others: Any) -> Site:
    """Return a site without any limit but those given."""
    free: dict[str, Any] = {
        "hosts": 1, "card": 1e18, "workers": 2, "latency_s": 0.0, "connection": 1e18, "instance": 1e18,
        "partition_requests": 1e12, "message_s": 0.0, "costs": FREE,
    }  # fmt: skip
    return Site(**(free | others))


def test_the_runs_are_as_large_as_they_are_said_to_be() -> None:
    assert NOVASEQ_X.bytes == pytest.approx(11e12, rel=0.01)
    assert (NOVASEQ_6000.files, HISEQ.files) == (5_492, 1_000_000)
    assert NOVASEQ_6000.bytes == pytest.approx(102e9, rel=0.01)
    (big,) = (group for group in NOVASEQ_X.groups() if group.in_parts)
    assert big.requests == 258
    assert big.request_bytes == pytest.approx(8 * MIB, rel=0.01)


@pytest.mark.parametrize(
    ("limit", "where", "expected"),
    [
        ("network cards", site(card=1e8), 20.0),
        ("network cards", site(card=1e9, instance=1e8), 20.0),
        ("network cards", site(card=1e8, hosts=4), 5.0),
        ("storage", site(storage=2e8, hosts=4), 10.0),
        ("processors", site(costs=replace(FREE, request=0.01)), 10.0),
        ("processors", site(costs=replace(FREE, byte=1e-8), hosts=5), 2.0),
        ("latency", site(latency_s=0.1, in_flight=10), 10.0),
        ("latency", site(connection=1e7, in_flight=10), 10.0),
        ("coordinator", site(costs=replace(FREE, result=0.005)), 10.0),
        ("S3's requests", site(partition_requests=20, partitions=10), 10.0),
    ],
)
def test_where_one_thing_limits_formula_and_simulation_know_the_answer(
    limit: Limit, where: Site, expected: float
) -> None:
    assert bottleneck(where, FILES) == limit
    assert seconds(where, FILES) == pytest.approx(expected)
    found = simulate(where, FILES)
    if limit == "S3's requests":  # the pauses after refusals are random, and what was idle serves more for a moment
        assert found.steady_seconds == pytest.approx(expected, rel=0.1)
        assert found.refused
    else:
        assert found.seconds == pytest.approx(expected, rel=0.03)
        assert not found.refused


def test_parts_cost_the_coordinator_a_result_each_and_a_file_its_completion() -> None:
    where = site(costs=replace(FREE, part=0.01, result=0.1, completion=0.4))
    (group,) = PARTS.groups()
    assert coordinator_seconds(where, group) == pytest.approx(10 * 0.01 + 0.1 + 0.4)
    assert times(where, group)["coordinator"] == pytest.approx(24.0)
    assert simulate(where, PARTS).seconds == pytest.approx(24.0, rel=0.01)


@pytest.mark.parametrize("load", WORKLOADS[:2], ids=lambda load: load.name)
@pytest.mark.parametrize("hosts", [1, 4])
def test_the_simulation_is_near_the_formulas(load: Load, hosts: int) -> None:
    where = Site(hosts, 10 * GBIT, workers=4)
    assert 0.94 <= simulate(where, load).seconds / seconds(where, load) <= 1.06


def test_the_same_seed_gives_the_same_and_another_one_something_else() -> None:
    where = site(partition_requests=100, latency_s=0.05)
    found = [simulate(where, FILES, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_one_big_file_keeps_all_workers_busy() -> None:
    one = Load("one", ((1, 1000 * 8 * MIB),))
    where = site(costs=replace(FREE, request=0.01), workers=4, in_flight=16)
    assert simulate(where, one).seconds == pytest.approx(2.5, rel=0.1)


def run_with(**faults: Any) -> Simulated:
    costs = replace(FREE, request=0.01)
    return simulate(site(costs=costs, workers=4, hosts=2, in_flight=16, faults=Faults(**faults)), PARTS.times(10))


def test_a_slow_worker_does_not_hold_the_run() -> None:
    well, slow = run_with(), run_with(slow_by=10.0)
    assert well.seconds == pytest.approx(5.0, rel=0.05)
    # what it has begun it ends: 16 requests of 0.1 s
    assert slow.seconds <= 4000 * 0.01 / 7.1 + 1.6


def test_what_a_dead_worker_held_is_sent_again_by_others_and_only_that() -> None:
    died = run_with(deaths=2, death_at_s=1.0, lease_s=0.5)
    assert 0 < died.sent_twice <= 2 * 16
    assert died.seconds == pytest.approx(1.0 + (4000 * 0.01 - 8) / 6, rel=0.1)
    assert not died.failed


def test_a_partition_that_is_too_busy_for_long_is_split() -> None:
    s3 = Requests(site(partition_requests=40.0, split_after_s=60.0))
    assert [s3.admit(0.0, 12), s3.admit(0.125, 12)] == [10, 5]
    for second in range(1, 61):
        s3.admit(float(second), 100)
    assert s3.splits == 1
    assert s3.admit(61.0, 100) == 20


def test_what_is_shared_ends_when_all_who_use_it_are_served() -> None:
    pipe = Pipe()
    assert [pipe.use(1.0, 2.0), pipe.use(1.0, 1.0), pipe.use(10.0, 1.0)] == [3.0, 4.0, 11.0]
    assert pipe.busy_s == 4.0


def test_which_limit_takes_over_at_how_many_hosts() -> None:
    ten, _, shared, *_ = BIG
    assert limits(ten, 64) == [(1, 23, "network cards"), (24, 64, "S3's requests")]
    assert limits_text(shared, 5) == "1 to 4: network cards, 5: storage"


def test_a_hundred_terabytes_a_day_need_more_than_one_card_of_10_gbit_is_wise_to_give() -> None:
    one = point(BIG[0], 1)
    assert one.gbit == pytest.approx(10, rel=0.01)
    assert 100 < one.terabytes_a_day < 110


@pytest.mark.parametrize(("name", "least", "most"), [("big", 0.75, 1.25), ("one", 0.75, 1.25), ("small", 0.75, 1.25),
                                                     ("small 30 ms", 0.6, 1.0)])  # fmt: skip
def test_what_was_measured_on_one_machine_is_near_what_the_model_says(name: str, least: float, most: float) -> None:
    """With latency it says less: that requests in flight rise by steps is not in the model."""
    document = json.loads(MEASURED.read_text(encoding="utf-8"))
    dataset, _, late = name.partition(" ")
    (measured,) = [
        summary["seconds"]
        for summary in document["summaries"]
        if summary["program"] == "async-s3-upload"
        and summary["setup"]["dataset"] == dataset
        and summary["setup"]["latency_ms"] == (30 if late else 0)
    ]
    assert set(LOCAL) == {"big", "one", "small", "small 30 ms"}
    assert least <= predicted_seconds(name) / measured <= most
