"""The end of a stream that has nothing to say about it, when the server drains."""

import asyncio
from typing import Any

from digitserve.server.errors import Draining
from digitserve.server.services import END, StreamCall


class Ending:
    """Reads a stream's messages until the drain begins; what was read is answered."""

    def __init__(self, call: StreamCall) -> None:
        """Of a call, in the task that handles it."""
        self._call, self._task = call, asyncio.current_task()
        self._waits = self._begun = False

    def drain(self, _: float) -> None:
        """Reads no more."""
        self._begun = True
        if self._waits and self._task is not None:
            self._task.cancel()

    async def read(self) -> Any:
        """The next message, or GARBAGE, or END; that also when the drain has begun."""
        if self._begun:
            return END
        self._waits = True
        try:
            return await self._call.read()
        except asyncio.CancelledError:
            if not self._begun:
                raise
            assert self._task is not None
            self._task.uncancel()
            return END
        finally:
            self._waits = False

    def check(self) -> None:
        """Says why it was the end.

        Raises:
            Draining: if the drain has begun.
        """
        if self._begun:
            raise Draining
