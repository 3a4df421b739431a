"""Many callers of one pipeline, tasks or threads, in one vocabulary for tests."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from digitserve.client import AsyncDigitClient, DigitClient, Prediction
from support.engines import image_of

_MOST = 128


class Callers(ABC):
    """Asks through one pipeline, each caller for himself."""

    @abstractmethod
    def ask(self, image: object, timeout: float | None = None) -> "Future[Prediction]":
        """Lets a new caller ask; does not wait for the answer."""

    @abstractmethod
    def close(self) -> None:
        """Closes the pipeline, whoever still waits."""

    def ask_together(self, digits: Sequence[int], **options: Any) -> "list[Future[Prediction]]":
        """Lets a caller ask for each digit, and waits until all have begun to."""
        looked_at = threading.Semaphore(0)
        asked = [self.ask(_Noted(digit, looked_at), **options) for digit in digits]
        for _ in digits:
            assert looked_at.acquire(timeout=30)
        return asked


class _Noted:
    """An image that tells when somebody looks at it."""

    def __init__(self, digit: int, looked_at: threading.Semaphore) -> None:
        self._digit = digit
        self._looked_at = looked_at

    def __array__(self) -> npt.NDArray[np.uint8]:
        self._looked_at.release()
        return np.frombuffer(image_of(self._digit), np.uint8)


class _Threads(Callers):
    def __init__(self, client: DigitClient, options: dict[str, Any]) -> None:
        self.pool = ThreadPoolExecutor(_MOST, "caller")
        self._pipeline = client.pipeline(**options)

    def ask(self, image: object, timeout: float | None = None) -> "Future[Prediction]":
        return self.pool.submit(self._pipeline.predict, image, timeout=timeout)

    def close(self) -> None:
        self._pipeline.close()


class Tasks(Callers):
    """Callers that are tasks of one event loop: cancelling a future cancels its task."""

    def __init__(
        self, address: str | Sequence[str], options: dict[str, Any], timeout: float
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="callers")
        self.thread.start()

        async def connect() -> None:
            self.client = AsyncDigitClient(address, timeout=timeout)
            self._pipeline = self.client.pipeline(**options)

        self.run(connect())

    def ask(self, image: object, timeout: float | None = None) -> "Future[Prediction]":
        asked = self._pipeline.predict(image, timeout=timeout)
        return asyncio.run_coroutine_threadsafe(asked, self.loop)

    def close(self) -> None:
        self.run(self._pipeline.close())

    def run(self, coroutine: Any) -> Any:
        """Runs a coroutine where the callers live."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=60)


@contextmanager
def calling(
    kind: str, address: str | Sequence[str], *, timeout: float = 60.0, **options: Any
) -> Iterator[Callers]:
    """Callers of one pipeline to `address`: "tasks" or "threads"."""
    if kind == "threads":
        with DigitClient(address, timeout=timeout) as client:
            threads = _Threads(client, options)
            try:
                yield threads
            finally:
                threads.close()
                threads.pool.shutdown()
        return
    tasks = Tasks(address, options, timeout)
    try:
        yield tasks
    finally:
        tasks.close()
        tasks.run(tasks.client.close())
        tasks.loop.call_soon_threadsafe(tasks.loop.stop)
        tasks.thread.join()
        tasks.loop.close()


def digits_of(asked: "list[Future[Prediction]]") -> list[int]:
    """Waits for the answers."""
    return [each.result(timeout=60).digit for each in asked]


def error_of(asked: "Future[Prediction]") -> BaseException | None:
    """Waits for the end of a call; what it raised, if anything."""
    return asked.exception(timeout=60)
