"""KServe's own inference client, unmodified.  Runs in its own environment.

python kserve_client.py ADDRESS IMAGES.npy
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest


async def _read(address: str, images: Any) -> dict[str, list[int]]:
    async with InferenceGRPCClient(address) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("digits")

        async def digits(data: Any, shape: list[int]) -> list[int]:
            sent = InferInput("pixels", shape, "UINT8", data=data)
            response = await client.infer(InferRequest("digits", [sent]))
            (output,) = (each for each in response.outputs if each.name == "digit")
            return [int(digit) for digit in np.ravel(output.as_numpy())]

        one_by_one = [(await digits(image[None], [1, 28, 28]))[0] for image in images]
        listed = await digits(images.ravel().tolist(), list(images.shape))
    return {"raw, one by one": one_by_one, "a list, one batch": listed}


if __name__ == "__main__":
    read = asyncio.run(_read(sys.argv[1], np.load(Path(sys.argv[2]))))
    json.dump({"read": read}, sys.stdout)
