"""One worker, as its supervisor has it: a process, and the channel to it."""

import asyncio
import socket
import subprocess
import sys
import time
from typing import Any

from digitserve.server.workers.channel import Channel, ChannelClosed, Handle, Silence

_MODULE = "digitserve.server.workers"
# Seconds that a worker has for what takes none.
PROMPT_S = 10.0
# Seconds to read the code, for a machine that is busy.
_BEGIN_S = 60.0


class Hand:
    """A worker.

    Attributes:
        place: its number, which its successor will have.
        serial: tells it from all before and after it.
        begun: whether it can load a version.
        serving: whether it listens.
    """

    def __init__(self, place: int, serial: int) -> None:
        self.place, self.serial = place, serial
        self.begun = self.serving = False
        self._since = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._reading: asyncio.Task[None] | None = None

    async def begin(self, handle: Handle, config: dict[str, str], table: int | None) -> None:
        """Starts it: a new process that has nothing of ours but its channel and the table.

        Raises:
            ChannelClosed: if it ends at once.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        kept = [theirs.fileno(), *([] if table is None else [table])]
        try:
            # A group of its own: Ctrl-C in a terminal is for the supervisor, who tells it.
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
                [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=kept,
                process_group=0,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = await Channel.over(ours, handle)
        self._reading = asyncio.create_task(self._channel.run())
        await self.order("begin", {"config": config, "place": self.place, "table": table}, _BEGIN_S)
        self.begun = True

    async def ask(self, what: str, told: dict[str, Any], within_s: float) -> Any:
        """Asks it.

        Raises:
            ChannelClosed: if it is gone, or silent for so many seconds.
            Exception: what it raised.
        """
        if self._channel is None:
            raise ChannelClosed
        return await self._channel.ask(what, told, within_s=within_s)

    async def order(self, what: str, told: dict[str, Any], within_s: float = PROMPT_S) -> Any:
        """Asks for what it must do: one that is silent for too long is ended.

        Raises:
            ChannelClosed: if it is gone, or was ended.
            Exception: what it raised.
        """
        try:
            return await self.ask(what, told, within_s)
        except Silence:
            self.kill()
            raise

    async def end(self) -> None:
        """Waits until it is gone."""
        assert self._reading is not None
        await asyncio.wait({self._reading})

    @property
    def gone(self) -> bool:
        """Whether it is over."""
        return self._reading is not None and self._reading.done()

    def serves(self) -> None:
        """From here on it is told with the others."""
        self.serving, self._since = True, time.monotonic()

    @property
    def served_s(self) -> float:
        """For how many seconds it has served."""
        return time.monotonic() - self._since if self.serving else 0.0

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()

    async def bury(self) -> int:
        """Waits for the end of one whose channel is closed, or who does not come to an end.

        Returns:
            Its exit code; that of a signal is negative.
        """
        if self._channel is not None:
            self._channel.close()
        if self._process is None:
            return 0
        try:
            return await asyncio.to_thread(self._process.wait, PROMPT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return await asyncio.to_thread(self._process.wait)
