"""The clients of Triton and of KServe, unmodified, read MNIST here as `Predict` does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from digitserve.client import DigitClient  # noqa: E402
from digitserve.server.adapters.open_inference.messages import PROTOCOL  # noqa: E402
from mnist_here import test_set  # noqa: E402
from neighbours.environment import interpreter  # noqa: E402
from proving import Shortfall, expect  # noqa: E402
from support.command import server_command  # noqa: E402

_IMAGES = 1000
_PATIENCE_S = 600

Digits = npt.NDArray[np.uint8]


@contextmanager
def _serving() -> Iterator[str]:
    with server_command() as command:
        yield command.address


def _asked(client: str, address: str, images: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """What the client, in its own environment, says that it read."""
    python = interpreter(client)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images)
        done = subprocess.run(
            [python, ROOT / f"scripts/neighbours/{client}_client.py", address, path],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
            # Nothing of ours is to be found by it.
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    if done.returncode:
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        raise Shortfall(f"{client}'s client ended with exit code {done.returncode}: {last}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _read(client: str) -> tuple[dict[str, Any], str]:
    """What the client says, and how right it read; the same as `Predict`, or it falls short."""
    images, labels = (each[:_IMAGES] for each in test_set())
    interpreter(client)  # before the server starts
    with _serving() as address:
        told = _asked(client, address, images)
        with DigitClient(address) as ours:
            predicted = [each.digit for each in ours.predict_batch(images)]
    right = int((np.array(predicted) == labels).sum())
    for way, digits in told["read"].items():
        differ = sum(map(int.__ne__, digits, predicted))
        if differ or len(digits) != len(predicted):
            raise Shortfall(
                f"{way}: {differ} of {len(digits)} digits are not as Predict reads them"
            )
    return told, f"{right} of {len(labels)} right, as by Predict: {', '.join(told['read'])}"


def triton() -> str:
    """tritonclient[grpc]: calls, a batch of floats, tasks, and both kinds of stream."""
    told, figure = _read("triton")
    asked = len(told["read"]) * _IMAGES
    wrong = _other_fields(told["fields"])
    return expect(
        told["counted"] == asked and not wrong,
        f"{figure}; {told['counted']} of {asked} images in the statistics; fields that are not as "
        f"in tritonclient: {', '.join(wrong) or 'none'}",
    )


def kserve() -> str:
    """KServe's InferenceGRPCClient: raw bytes, and a list of numbers."""
    return _read("kserve")[1]


def _other_fields(theirs: dict[str, list[Any]]) -> list[str]:
    """The fields of our messages that have another number or type than tritonclient's."""

    def fields(message: Any) -> Iterator[Any]:
        yield from message.fields
        for nested in message.nested_types:
            yield from fields(nested)

    file = PROTOCOL.pool().FindFileByName("open_inference.proto")
    ours = [field for each in file.message_types_by_name.values() for field in fields(each)]
    return [
        field.full_name
        for field in ours
        if [field.number, field.type, field.is_repeated] != theirs.get(field.full_name)
    ]


if __name__ == "__main__":
    for promise in (triton, kserve):
        print(f"{promise.__name__}: {promise()}", flush=True)
