"""An await that outlives whoever awaits it.

    await kept  ──▶ cancelled                the coroutine stays where it was
    await kept  ──▶ what it returns          whoever asks next goes on from there

What `asyncio.shield` does with a task, without one: that costs a stream more for each frame.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A coroutine that goes on whenever, and as long as, somebody awaits it; one at a time.

    It must not care which task it runs in: no `asyncio.timeout`, no task group.
    """

    __slots__ = ("_coroutine", "_future")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._future: asyncio.Future[Any] | None = None  # what the coroutine waits for

    def __await__(self) -> Generator[Any, None, T]:
        while True:
            if self._future is not None and not self._future.done():
                # One of our own, which alone is cancelled with whoever waits.
                woken = self._future.get_loop().create_future()

                def wake(_: object, woken: asyncio.Future[None] = woken) -> None:
                    if not woken.done():
                        woken.set_result(None)

                self._future.add_done_callback(wake)
                yield from woken
            try:
                self._future = self._coroutine.send(None)
            except StopIteration as end:
                result: T = end.value
                return result
            if self._future is None:  # it waits for nothing, and lets others run
                yield
