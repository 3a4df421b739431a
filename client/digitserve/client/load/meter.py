"""What the generator itself costs: CPU time, and how busy its event loop was.

A loop is idle while it waits in its selector, and busy else: also while it wants the CPU or the
interpreter lock and does not get it, which is what makes a client the bottleneck.
"""

import asyncio
import selectors
import time
from typing import Any


class _IdleSelector(selectors.SelectSelector):
    """Knows how long it waited.  `select`, because epoll wakes up to a millisecond late."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        start = time.monotonic()
        ready = super().select(timeout)
        self.idle += time.monotonic() - start
        return ready


class Meter:
    """Measures one run at a time on the loop that it makes.

    Attributes:
        seconds: how long the run took.
        cpu: CPU seconds of the whole process in it, gRPC's own threads included.
        busy: the share of the time in which the loop was not idle, 0 to 1.
    """

    def __init__(self) -> None:
        self._selector = _IdleSelector()
        self.seconds = self.cpu = self.busy = 0.0

    def loop(self) -> asyncio.AbstractEventLoop:
        """Makes the event loop that is measured; to be called once."""
        return asyncio.SelectorEventLoop(self._selector)

    def __enter__(self) -> "Meter":
        self._began = time.monotonic(), time.process_time(), self._selector.idle
        return self

    def __exit__(self, *_: object) -> None:
        began, cpu, idle = self._began
        self.seconds = time.monotonic() - began
        self.cpu = time.process_time() - cpu
        self.busy = 1 - (self._selector.idle - idle) / self.seconds
