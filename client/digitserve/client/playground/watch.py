"""What every open page is told of the server: health, versions and labels, rate, latency, streams.

One task asks, twice a second and only while somebody looks; each page is told of the newest state
alone, when it differs from what it was told last.
"""

import asyncio
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from digitserve.client import AsyncDigitClient, DigitServeError, ModelVersion, Unimplemented

State: TypeAlias = dict[str, Any]

_EVERY = 0.5
_TIMEOUT = 2.0
_LATELY = 5.0  # seconds over which a rate is told
_REMEMBERED = 500
_UNKNOWN: State = {"versions": [], "server_rate": None}


class Watch:
    """Asks how the server does, and counts what goes through the bridges."""

    def __init__(self, client: AsyncDigitClient, address: str) -> None:
        self._client = client
        self._address = address
        self._browsers = 0
        self._looked_at = asyncio.Event()
        self._changed = asyncio.Condition()
        self._images: deque[tuple[float, int]] = deque()  # instant, the server's count
        self._answers: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)  # instant, seconds
        self._state: State | None = None  # nobody has asked yet

    @contextmanager
    def browser(self) -> Iterator[None]:
        """A page is open while the block runs."""
        self._browsers += 1
        self._looked_at.set()
        try:
            yield
        finally:
            self._browsers -= 1
            if not self._browsers:
                self._looked_at.clear()

    def answered(self, seconds: float) -> None:
        """Counts an answer and how long it took."""
        self._answers.append((time.monotonic(), seconds))

    async def states(self) -> AsyncIterator[State]:
        """The present state, and each one that differs from the one before it."""
        told: State | None = None
        while True:
            if self._state is not None and self._state != told:
                told = self._state
                yield told
            async with self._changed:
                await self._changed.wait()

    async def run(self) -> None:
        """Asks for ever."""
        while True:
            await self._looked_at.wait()
            state = await self._asked() | self._counted()
            async with self._changed:
                self._state = state
                self._changed.notify_all()
            await asyncio.sleep(_EVERY)

    async def _asked(self) -> State:
        try:
            health = (await self._client.health(timeout=_TIMEOUT)).name
            versions = await self._client.models.list(timeout=_TIMEOUT)
        except Unimplemented:
            return _UNKNOWN | {"health": "SERVING", "message": "tells nothing of its versions"}
        except DigitServeError as error:
            self._images.clear()
            return _UNKNOWN | {"health": "AWAY", "message": str(error)}
        rate = self._rate(sum(each.images for each in versions))
        listed = [_version(each) for each in versions]
        return {"health": health, "message": "", "versions": listed, "server_rate": rate}

    def _rate(self, images: int) -> float:
        """Images a second that the server answered lately, whoever asked."""
        now = time.monotonic()
        if self._images and images < self._images[-1][1]:  # it was started anew
            self._images.clear()
        self._images.append((now, images))
        while now - self._images[0][0] > _LATELY:
            self._images.popleft()
        since, before = self._images[0]
        return round((images - before) / (now - since), 1) if now > since else 0.0

    def _counted(self) -> State:
        now = time.monotonic()
        lately = [took for at, took in self._answers if now - at <= _LATELY]
        return {
            "address": self._address,
            "streams": self._browsers,
            "rate": round(len(lately) / _LATELY, 1),
            "latency_ms": round(1e3 * statistics.median(lately), 2) if lately else None,
        }


def _version(version: ModelVersion) -> State:
    return {
        "version": version.version,
        "state": version.state.name,
        "labels": list(version.labels),
        "accuracy": version.accuracy,
        "description": version.description,
        "reason": version.reason,
        "threshold": version.rejection_threshold,
        "images": version.images,
    }
