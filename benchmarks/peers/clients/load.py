"""The load generator: bytes out, bytes back, the same for every server, in a process of its own.

Reads a job as JSON from stdin and prints what came of it: calls a second of a closed loop at the
given number of callers over one connection, then the median of one caller alone.  The reply to each
image that came last goes back with the figures, to be checked: nothing is decoded while the clock
runs.
"""

import asyncio
import base64
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from benchmarks.peers.clients.closed_loop import closed_loop

WARM_UP_S = 0.3


@dataclass
class Load:
    """One server under load."""

    call: Any
    requests: list[bytes]
    replies: dict[int, bytes] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    calls: int = 0

    async def ask(self, at: int) -> None:
        """One call, with the image whose turn it is."""
        at %= len(self.requests)
        begun = time.perf_counter()
        self.replies[at] = await self.call(self.requests[at])
        self.latencies.append(time.perf_counter() - begun)
        self.calls += 1


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the job."""
    async with grpc.aio.insecure_channel(job["address"]) as channel:
        load = Load(
            channel.unary_unary(job["method"]), [base64.b64decode(each) for each in job["requests"]]
        )
        await closed_loop(load.ask, job["callers"], WARM_UP_S)
        rate = await closed_loop(load.ask, job["callers"], job["seconds"])
        load.latencies.clear()
        await closed_loop(load.ask, 1, job["alone_seconds"])
    return {
        "calls_per_second": rate,
        "p50_us": statistics.median(load.latencies) * 1e6,
        "calls": load.calls,
        "replies": {at: base64.b64encode(reply).decode() for at, reply in load.replies.items()},
    }


if __name__ == "__main__":
    json.dump(asyncio.run(measure(json.load(sys.stdin))), sys.stdout)
