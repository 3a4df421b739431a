"""The end of a server's life, as its calls see it: who is open, and telling the streams.

A stream joins when it opens.  At the drain every open one is told once, and no new one may join.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from digitserve.server.errors import Draining
from digitserve.server.services.ending import Ending
from digitserve.server.services.streams import Stream


class Drain:
    """Knows what is open and whether it all ended well.

    Attributes:
        clean: whether no stream had to be cut since the drain began.
    """

    def __init__(self) -> None:
        self._open: set[Stream | Ending] = set()
        self.clean = True
        self._begun = False
        self._calls = 0
        self._idle = asyncio.Event()

    @property
    def streams(self) -> list[Stream]:
        """The open streams of our own protocol."""
        return [each for each in self._open if isinstance(each, Stream)]

    @contextmanager
    def joined(self, stream: Stream | Ending) -> Iterator[None]:
        """Keeps `stream` among the open ones.

        Raises:
            Draining: if the drain has begun.
        """
        if self._begun:
            raise Draining
        self._open.add(stream)
        try:
            yield
        except Draining:  # its caller never half-closed
            self.clean = not self._begun
            raise
        finally:
            self._open.discard(stream)

    def begin(self, grace_s: float) -> None:
        """Tells every open stream to come to its end within `grace_s` seconds."""
        self._begun = True
        for stream in list(self._open):
            stream.drain(grace_s)

    def enter(self) -> None:
        """Counts a call, of any kind, that begins."""
        self._calls += 1

    def leave(self) -> None:
        """Counts a call that ends."""
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def idle(self) -> None:
        """Waits until no call is running."""
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
