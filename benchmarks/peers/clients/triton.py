"""One client process, 64 concurrent `infer()`, by tritonclient's async client.

Runs in Triton's environment.  Like a `predict()`, each call takes an image and ends with a digit.
Reads a job from stdin, prints predictions a second.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks.peers.clients.closed_loop import closed_loop

WARM_UP_S = 0.3


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the job."""
    images = np.frombuffer(base64.b64decode(job["images"]), np.uint8).reshape(-1, 1, 28, 28)
    digits: dict[int, int] = {}
    async with InferenceServerClient(job["address"]) as client:

        async def ask(at: int) -> None:
            at %= len(images)
            pixels = InferInput("pixels", [1, 28, 28], "UINT8")
            pixels.set_data_from_numpy(images[at])
            result = await client.infer("digits", [pixels])
            digits[at] = int(result.as_numpy("probabilities").argmax())

        await closed_loop(ask, job["callers"], WARM_UP_S)
        rate = await closed_loop(ask, job["callers"], job["seconds"])
    return {"predictions_per_second": rate, "digits": digits}


if __name__ == "__main__":
    json.dump(asyncio.run(measure(json.load(sys.stdin))), sys.stdout)
