"""Where the processes of a cluster run, and how one of them is cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .relay import Relay


def _stays(passing: bool) -> None:
    raise NotImplementedError("this place cannot be cut off")


@dataclass(slots=True)
class Place:
    """Where processes run: what their command lines begin with, and the address at which they listen there.

    A place behind relays has the port at which its worker has to listen, and the one at which others reach it;
    it reaches the scheduler at a relay too.
    """

    name: str
    address: str
    prefix: Sequence[str] = ()
    worker_port: int = 0
    contact_port: int = 0
    scheduler_relay: Relay | None = None
    set_state: Callable[[bool], None] = field(default=_stays, repr=False)

    def cut(self) -> None:
        """Let nothing pass between this place and the other places from now on; nobody is told."""
        self.set_state(False)

    def mend(self) -> None:
        """Let everything pass again."""
        self.set_state(True)


class Network(Protocol):
    """Places for the processes of a cluster."""

    hub: Place
    """Where scheduler and coordinator are."""

    def place(self, name: str) -> Place:
        """Return a new place for one worker, which can be cut off from the hub and all others."""
        ...

    def let_reach(self, endpoint: str) -> None:
        """Make this URL of the loop-back address work in all places, cut off or not."""
        ...
