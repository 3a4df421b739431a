"""tritonclient, unmodified: sync, async and streaming.  Runs in its own environment.

    python triton_client.py ADDRESS IMAGES.npy

Prints, as JSON, what each way read, and the fields of tritonclient's own messages.
"""

import asyncio
import json
import queue
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as sync
from tritonclient.grpc import aio, service_pb2

_AT_ONCE = 32


def _pixels(image: Any) -> list[Any]:
    tensor = sync.InferInput("pixels", [1, 28, 28], "UINT8")
    tensor.set_data_from_numpy(image[None])
    return [tensor]


def _digit(result: Any) -> int:
    return int(result.as_numpy("digit")[0, 0])


def by_calls(address: str, images: Any) -> list[int]:
    """One call after the other."""
    with sync.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        return [_digit(client.infer("digits", _pixels(image))) for image in images]


def by_batch(address: str, images: Any) -> list[int]:
    """All in one call, as floats, and what was asked of the outputs alone."""
    tensor = sync.InferInput("pixels", list(images.shape), "FP32")
    tensor.set_data_from_numpy((images / 255).astype(np.float32))
    asked = [sync.InferRequestedOutput("digit"), sync.InferRequestedOutput("probabilities")]
    with sync.InferenceServerClient(address) as client:
        result = client.infer("digits", [tensor], outputs=asked)
    assert (result.as_numpy("probabilities").argmax(axis=1) == result.as_numpy("digit")[:, 0]).all()
    return [int(digit) for digit in result.as_numpy("digit")[:, 0]]


async def by_tasks(address: str, images: Any) -> list[int]:
    """Many calls at once, of the async client."""
    room = asyncio.Semaphore(_AT_ONCE)
    async with aio.InferenceServerClient(address) as client:

        async def read(image: Any) -> int:
            async with room:
                return _digit(await client.infer("digits", _pixels(image)))

        return list(await asyncio.gather(*map(read, images)))


def by_stream(address: str, images: Any) -> list[int]:
    """A stream of the sync client; answers tell whose they are by their ids."""
    told: queue.Queue[tuple[Any, Any]] = queue.Queue()
    digits = [-1] * len(images)
    with sync.InferenceServerClient(address) as client:
        client.start_stream(callback=lambda result, error: told.put((result, error)))
        for at, image in enumerate(images):
            client.async_stream_infer("digits", _pixels(image), request_id=str(at))
        for _ in images:
            result, error = told.get(timeout=60)
            if error is not None:
                raise error
            digits[int(result.get_response().id)] = _digit(result)
        client.stop_stream()
    return digits


async def by_async_stream(address: str, images: Any) -> list[int]:
    """A stream of the async client."""

    async def asked() -> AsyncIterator[dict[str, Any]]:
        for at, image in enumerate(images):
            yield {"model_name": "digits", "inputs": _pixels(image), "request_id": str(at)}

    digits = [-1] * len(images)
    async with aio.InferenceServerClient(address) as client:
        async for result, error in client.stream_infer(asked()):
            if error is not None:
                raise error
            digits[int(result.get_response().id)] = _digit(result)
    return digits


def fields() -> dict[str, list[Any]]:
    """Every field of every message that tritonclient has: its number, type and label."""
    found: dict[str, list[Any]] = {}

    def look(message: Any) -> None:
        for field in message.fields:
            found[field.full_name] = [field.number, field.type, field.is_repeated]
        for nested in message.nested_types:
            look(nested)

    files = [service_pb2.DESCRIPTOR, *service_pb2.DESCRIPTOR.dependencies]
    for file in files:
        for message in file.message_types_by_name.values():
            look(message)
    return found


def main(address: str, path: str) -> None:
    """Reads the images in every way."""
    images = np.load(Path(path))
    read = {
        "sync": by_calls(address, images),
        "batch": by_batch(address, images),
        "async": asyncio.run(by_tasks(address, images)),
        "stream": by_stream(address, images),
        "async stream": asyncio.run(by_async_stream(address, images)),
    }
    with sync.InferenceServerClient(address) as client:
        config = client.get_model_config("digits", as_json=True)["config"]
        stats = client.get_inference_statistics("digits", as_json=True)["model_stats"]
    told = {
        "read": read,
        "fields": fields(),
        "most": int(config["max_batch_size"]),
        "counted": sum(int(each.get("inference_count", 0)) for each in stats),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
