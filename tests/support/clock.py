"""An event loop whose clock is moved instead of waited for: an hour of sleeping takes no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Skipping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        if timeout is None:  # something outside is waited for, really
            return super().select(None)
        self.now += max(timeout, 0)
        return super().select(0)


class _MovedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Skipping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_moved(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on such a loop; its time begins at 0."""
    with asyncio.Runner(loop_factory=_MovedLoop) as runner:
        return runner.run(coroutine)
