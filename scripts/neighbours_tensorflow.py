"""TensorFlow Serving's own Python caller reads MNIST from this server: the same answers as ours.

`tensorflow-serving-api` from PyPI, unmodified, in an environment of its own, which is made once.
"""

import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from digitserve.client import DigitClient  # noqa: E402
from digitserve.server.versions.loading import BUNDLED  # noqa: E402
from digitserve.v1 import digits_pb2, digits_pb2_grpc  # noqa: E402
from mnist_here import test_set  # noqa: E402
from proving import Shortfall, expect, prove  # noqa: E402
from support.command import server_command  # noqa: E402
from support.tensorflow_serving import Stub, predict_request  # noqa: E402

_HOME = ROOT / ".venv-neighbours/tensorflow"
_PINS = ROOT / "requirements/neighbours/tensorflow.txt"
_CALLER = ROOT / "scripts/tensorflow_caller.py"
_MESSAGES = ROOT / "server/digitserve/server/adapters/tensorflow_serving/tensorflow_serving.binpb"
_IMAGES = 1000
# Times the CPU of digitserve.v1's call: it has a tensor to read, and its answer is twice as long.
_DEAREST = 1.5
_MODEL = {
    "inputs": {"images": "uint8"},
    "outputs": {"digit": "int64", "probabilities": "float32"},
}


def tensorflow_serving_api() -> str:
    """Its stubs read the first 1,000 test images, by every way of sending them."""
    images, labels = (part[:_IMAGES] for part in test_set())
    with server_command() as server:
        with DigitClient(server.address) as client:
            ours = client.predict_batch(images)
        told = _asked(server.address, images)
    if told["differences"]:
        raise Shortfall(f"messages are not TensorFlow's: {told['differences'][0]}")
    states = told["model"].pop("states")
    if told["model"] != _MODEL or "AVAILABLE" not in states:
        raise Shortfall(f"the model is told as {told['model']}, its versions as {states}")
    digits = [each.digit for each in ours]
    probabilities = np.array([each.probabilities for each in ours], np.float32)
    for way, answers in told["answers"].items():
        same = sum(map(int.__eq__, answers["digit"], digits))
        if same != _IMAGES:
            raise Shortfall(f"{way}: {same} of {_IMAGES} digits as by digitserve.v1")
        if not np.array_equal(np.array(answers["probabilities"], np.float32), probabilities):
            raise Shortfall(f"{way}: other probabilities than by digitserve.v1")
    right = int((np.array(digits) == labels).sum())
    return expect(
        right > _IMAGES * 0.95,
        f"tensorflow-serving-api {told['package']}: {_IMAGES} of {_IMAGES} answers as by "
        f"digitserve.v1, to the bit, in each of {len(told['answers'])} ways; {right} right",
    )


def tensorflow_serving_cost(rounds: int = 7, calls: int = 2000) -> str:
    """The server's CPU for a call of one image, to that of digitserve.v1's Predict."""
    image = np.zeros((1, 28, 28), np.uint8)
    spent: dict[str, list[float]] = {"digitserve.v1": [], "tensorflow.serving": []}
    models = ("--models", str(BUNDLED / "1"))  # the lightest: the rest of a call shows
    with server_command(*models) as server, grpc.insecure_channel(server.address) as channel:
        theirs, ours = Stub(channel), digits_pb2_grpc.DigitServiceStub(channel)
        asking: dict[str, tuple[Any, Any]] = {
            "digitserve.v1": (ours.Predict, digits_pb2.PredictRequest(pixels=image.tobytes())),
            "tensorflow.serving": (theirs.Predict, predict_request(image)),
        }
        for _ in range(rounds):
            for name, (call, request) in asking.items():
                call(request)
                before = server.cpu_seconds()
                for _ in range(calls):
                    call(request)
                spent[name].append((server.cpu_seconds() - before) / calls)
    own_s, foreign_s = map(statistics.median, spent.values())
    return expect(
        True,
        f"{foreign_s / own_s:.2f} times a call of digitserve.v1: {foreign_s * 1e6:.0f} against "
        f"{own_s * 1e6:.0f} us of CPU",
        bounds=foreign_s <= _DEAREST * own_s,
    )


def _asked(address: str, images: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """What the caller tells that it was answered."""
    with TemporaryDirectory() as folder:
        np.save(f"{folder}/images.npy", images)
        done = subprocess.run(
            [_python(), _CALLER, address, f"{folder}/images.npy", _MESSAGES],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise Shortfall(f"the caller fails: {done.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _python() -> Path:
    """The environment's Python; the environment is made where there is none for these pins."""
    ready, python = _HOME / "ready", _HOME / "bin/python"
    wanted = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()
    if not (ready.exists() and ready.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(_HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", _HOME], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "-r", str(_PINS)], check=True)
        ready.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    prove(
        ("tensorflow-serving-api reads MNIST", tensorflow_serving_api),
        ("what a call costs", tensorflow_serving_cost),
    )
