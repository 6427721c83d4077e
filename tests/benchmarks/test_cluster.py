"""The benchmark of the way through Dask, at its smallest: both ways send all, and CPU is found where it is used."""

import tempfile

from benchmarks import datasets
from benchmarks.cluster import Pair, cluster_of, measure
from benchmarks.destination import running_sink


def test_ratios_are_of_the_cluster_to_local() -> None:
    pair = Pair(local_cpu=2.0, local_wall=1.0, cluster_cpu=3.0, cluster_wall=4.0, workers=2.0, scheduler=0.1)
    assert (pair.cpu_ratio, pair.wall_ratio) == (1.5, 4.0)


def test_a_round_sends_all_both_ways() -> None:
    with tempfile.TemporaryDirectory() as parent, running_sink(tls=True) as sink, cluster_of(1, sink) as cluster:
        folder = datasets.make_dataset(parent, "small", scale=0.001)
        (pair,) = measure("small", folder, sink, cluster, 1, 1)  # an upload that is not whole is no round
        assert pair.workers > 0
        assert pair.cluster_cpu > pair.workers + pair.scheduler > 0
