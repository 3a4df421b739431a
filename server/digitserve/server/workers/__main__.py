"""One worker; started by its supervisor, with the number of its channel's descriptor."""

import asyncio
import os
import signal
import socket
import sys

from digitserve.server.loops import loop_factory
from digitserve.server.workers.channel import Channel
from digitserve.server.workers.worker import Worker


async def _work(connected: socket.socket) -> bool:
    worker = Worker()
    worker.channel = await Channel.over(connected, worker.handle)
    await worker.channel.run()
    return await worker.end()


def main() -> None:
    """Works until the supervisor is gone, on purpose or not; then finishes what was accepted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever stops the group stops the supervisor too, and that one says when.
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        clean = runner.run(_work(socket.socket(fileno=int(sys.argv[1]))))
        sys.stderr.flush()
        # A network may be being read, or compiled, for minutes yet: nobody waits for that.
        os._exit(0 if clean else 1)


if __name__ == "__main__":
    main()
