"""The end of a server's life, as its calls see it: who is open, and telling the streams.

A stream joins when it opens.  At the drain every open one is told once, and no new one may join.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from digitserve.server.errors import Draining


class Stream(Protocol):
    """What is told.

    Attributes:
        messages: how many messages were read so far.
    """

    messages: int

    def drain(self, grace_s: float) -> None:
        """Accepts nothing more, and ends within `grace_s` seconds."""


class Drain:
    """Knows what is open and whether it all ended well.

    Attributes:
        streams: the open streams.
        clean: whether nothing had to be cut since the drain began, so far as it is told.
    """

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.clean = True
        self._begun = False
        self._calls = 0
        self._idle = asyncio.Event()

    @contextmanager
    def joined(self, stream: Stream) -> Iterator[None]:
        """Keeps `stream` among the open ones.

        Raises:
            Draining: if the drain has begun.
        """
        if self._begun:
            raise Draining
        self.streams.add(stream)
        try:
            yield
        except Draining:  # its caller never half-closed
            self.clean = not self._begun
            raise
        finally:
            self.streams.discard(stream)

    def begin(self, grace_s: float) -> None:
        """Tells every open stream to come to its end within `grace_s` seconds."""
        self._begun = True
        for stream in list(self.streams):
            stream.drain(grace_s)

    def enter(self) -> None:
        """Counts a call, of any kind, that begins."""
        self._calls += 1

    def leave(self) -> None:
        """Counts a call that ends."""
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts a call that nobody but a server that waits no longer cancels."""
        self.enter()
        try:
            yield
        except asyncio.CancelledError:
            self.clean = False
            raise
        finally:
            self.leave()

    async def idle(self) -> None:
        """Waits until no call is running."""
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
