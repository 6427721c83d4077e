"""A network without namespaces: relays on the loop-back address, which can swallow everything."""

from contextlib import ExitStack
from types import TracebackType

from tests.support.process import LOOPBACK, free_ports

from .network import Place
from .relay import Relay


class Loopback:
    """All on the loop-back address; what can be cut off is reached through relays. For `with`."""

    def __init__(self) -> None:
        self.hub = Place("hub", LOOPBACK)
        self._stack = ExitStack()

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def place(self, name: str) -> Place:
        """Return a new place for one worker process, which can be cut off."""
        (port,) = free_ports(1)
        inward, outward = self._stack.enter_context(Relay(port)), self._stack.enter_context(Relay())

        def set_state(passing: bool) -> None:
            for relay in (inward, outward):
                (relay.mend if passing else relay.cut)()

        return Place(
            name,
            LOOPBACK,
            worker_port=port,
            contact_port=inward.port,
            scheduler_relay=outward,
            set_state=set_state,
        )

    def let_reach(self, endpoint: str) -> None:
        """Nothing to do: all are on one loop-back address."""
