"""An event loop in which waiting takes no time: when nothing is ready, the clock jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class _NoWait(selectors.SelectSelector):
    """Reports what is ready now, and moves the clock by the time it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that will never come"
        found = super().select(0)
        if not found:
            self.now += timeout
        return found


class WarpLoop(asyncio.SelectorEventLoop):
    """Its ``time`` is virtual; what is given to a thread runs at once."""

    def __init__(self) -> None:
        self._no_wait = _NoWait()
        super().__init__(self._no_wait)

    def time(self) -> float:
        return self._no_wait.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
