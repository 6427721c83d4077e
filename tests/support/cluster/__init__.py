"""A Dask cluster of real processes, and networks in which one of its workers can be cut off."""

from collections.abc import Iterator
from contextlib import contextmanager

from .dask import DaskCluster, DaskWorker
from .loopback import Loopback
from .namespaces import Namespaces, namespaces_work
from .network import Network, Place
from .relay import Relay

__all__ = [
    "DaskCluster",
    "DaskWorker",
    "Loopback",
    "Namespaces",
    "Network",
    "Place",
    "Relay",
    "any_network",
    "namespaces_work",
]


@contextmanager
def any_network() -> Iterator[Network]:
    """Give namespaces where the machine allows them, else the loop-back address with relays."""
    with Namespaces() if namespaces_work() else Loopback() as network:
        yield network
