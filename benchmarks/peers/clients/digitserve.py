"""One client process, 64 concurrent `predict()`, coalesced by digitserve's pipelining client.

Runs in the environment of this tree.  Reads a job from stdin, prints predictions a second.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import numpy as np

from benchmarks.peers.clients.closed_loop import closed_loop
from digitserve.client import AsyncDigitClient

WARM_UP_S = 0.3


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the job."""
    images = np.frombuffer(base64.b64decode(job["images"]), np.uint8).reshape(-1, 28, 28)
    digits: dict[int, int] = {}
    async with AsyncDigitClient(job["address"]) as client, client.pipeline() as pipeline:

        async def ask(at: int) -> None:
            at %= len(images)
            digits[at] = (await pipeline.predict(images[at])).digit

        await closed_loop(ask, job["callers"], WARM_UP_S)
        rate = await closed_loop(ask, job["callers"], job["seconds"])
    return {"predictions_per_second": rate, "digits": digits}


if __name__ == "__main__":
    json.dump(asyncio.run(measure(json.load(sys.stdin))), sys.stdout)
