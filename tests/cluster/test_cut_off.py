"""A worker that is cut off from scheduler and coordinator still reaches S3: nothing is completed twice, or wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.lab import Lab, files_below
from tests.support.cluster import DaskCluster, Loopback, Namespaces, Network, namespaces_work
from tests.support.proxy import FaultProxy, Hold, Rule, on

from .crew import Crew, completions, sent_by, start_upload_at, times_sent

needs_namespaces = pytest.mark.skipif(not namespaces_work(), reason="network namespaces need root, iproute2 and veth")

SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "12s"}
"""When Dask itself notices: 12 s of silence in place of 30 s and 5 minutes."""
MIB = 1024 * 1024
BIG = bytes(range(256)) * 4096 * 40


@pytest.fixture(params=[Loopback, pytest.param(Namespaces, marks=needs_namespaces)])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    make: Callable[[], AbstractContextManager[Network]] = request.param
    with make() as network:
        yield network


@pytest.fixture
def cluster(network: Network) -> Iterator[DaskCluster]:
    with DaskCluster(network.hub, env=SOON) as cluster:
        yield cluster


def upload_while_cut(crew: Crew, lab: Lab, network: Network, run: Path, bucket: str, held: Rule) -> FaultProxy:
    """Upload; cut ``lonely`` off while what it sends is held; it goes on when another worker has taken over.

    Returns the proxy when the command has ended well, and ``lonely`` too.
    """
    assert isinstance(held.action, Hold)
    proxy = lab.behind(held)
    for endpoint in (proxy.endpoint, lab.server.endpoint, lab.slack.url_of("log")):
        network.let_reach(endpoint)
    lonely_place = network.place("lonely")
    crew.add("other", place=network.place("other"))
    (lonely,) = crew.add("lonely", place=lonely_place)

    with start_upload_at(network.hub, lab, run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(held.match)
        lonely_place.cut()
        # it believes that all is well, sends, and would complete
        release = threading.Timer(3, held.action.release)
        release.start()
        done = command.wait(170)
        release.join()

    assert done.exit_code == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert lonely.address in done.stderr
    return proxy


def test_a_multipart_upload_of_a_worker_that_is_cut_off_is_completed_once(
    crew: Crew, lab: Lab, network: Network
) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={"Data/one.cbcl": BIG, "Data/two.cbcl": BIG[::-1]})

    proxy = upload_while_cut(crew, lab, network, run, bucket, Rule(sent_by("lonely", on("UploadPart")), Hold()))

    assert set(completions(proxy).values()) == {1}
    assert len(completions(proxy)) == 2  # and not a second upload of a file either
    assert not proxy.count(sent_by("lonely", on("CompleteMultipartUpload")))
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.server.uploads_in_progress(bucket) == []
    assert lab.run_log(run)["total_uploaded_files"] == len(files_below(run))


def test_small_files_of_a_worker_that_is_cut_off_are_sent_by_another_one(
    crew: Crew, lab: Lab, network: Network
) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=60)

    proxy = upload_while_cut(crew, lab, network, run, bucket, Rule(sent_by("lonely", on("PutObject")), Hold()))

    lab.assert_in_bucket(run, bucket, run.name)
    assert max(times_sent(proxy).values()) <= 2
    assert lab.run_log(run)["total_uploaded_files"] == len(files_below(run))
