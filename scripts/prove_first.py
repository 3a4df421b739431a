"""`make prove-first`: the promises of the first release, each measured anew, with its figure.

Prints a line for each and exits with 1 if any falls short.  Takes minutes, because it starts what a
user would start: fresh clones, empty environments, a hundred servers.  `--short` leaves out the
`make test` of the fresh clone: CI, which is a fresh clone itself, has just run it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import grpc  # noqa: E402
import numpy as np  # noqa: E402

from digitserve.server.versions.bundle import read_bundle  # noqa: E402
from digitserve.server.versions.loading import BUNDLED  # noqa: E402
from digitserve.v1 import digits_pb2, digits_pb2_grpc  # noqa: E402
from mnist_here import test_set  # noqa: E402
from proving import Shortfall, expect, prove  # noqa: E402
from support.command import server_command  # noqa: E402
from support.drain import drained_stream  # noqa: E402
from support.mnist import find_mnist  # noqa: E402
from support.serving import serving  # noqa: E402

SHORT = "--short" in sys.argv
REPETITIONS = 100
# The newest is stable: what answers who names no version.
BUNDLE = max(BUNDLED.glob("[0-9]*"), key=lambda folder: int(folder.name))


def fresh_clone() -> str:
    """`make demo` and `make test` in a fresh clone, outside any prepared environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    if (found := find_mnist()) is not None:
        environment["DIGITSERVE_MNIST"] = str(found)
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "digitserve"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        for target in ("demo",) if SHORT else ("demo", "test"):
            start = time.monotonic()
            done = subprocess.run(
                ["make", target],
                check=False,
                cwd=clone,
                env=environment,
                capture_output=True,
                text=True,
            )
            took[target] = time.monotonic() - start
            if done.returncode:
                print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
                raise Shortfall(f"`make {target}` ended with {done.returncode}")
    return ", ".join(f"make {target} {seconds:.0f} s, exit 0" for target, seconds in took.items())


def same_digits_as_keras() -> str:
    """All 10,000 test images over the wire, both ways: Keras's digits, the manifest's accuracy."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: PLC0415

    images, labels = test_set()
    model = keras.models.load_model(BUNDLE / "epic_num_reader.keras")
    # Ten probabilities; an eleventh column is the rejection.
    expected = np.asarray(model(images.astype(np.float32)))[:, :10].argmax(axis=1)
    with server_command() as command, grpc.insecure_channel(command.address) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        unary = [
            prediction.digit
            for start in range(0, len(images), 100)
            for prediction in stub.Predict(
                digits_pb2.PredictRequest(pixels=images[start : start + 100].tobytes(), count=100)
            ).predictions
        ]
        streamed = [
            reply.predicted.predictions[0].digit
            for reply in stub.StreamPredict(frame(image.tobytes()) for image in images)
        ]
    differ = int((expected != unary).sum() + (expected != streamed).sum())
    accuracy = float((labels == unary).mean())
    promised = read_bundle(BUNDLE).manifest.evaluation.accuracy
    return expect(
        differ == 0 and len(unary) == len(streamed) == 10_000 and accuracy == promised,
        f"{differ} of 2 x 10,000 digits differ from Keras's; accuracy {accuracy:.4f}, "
        f"manifest {promised:.4f}",
    )


def frame(pixels: bytes) -> digits_pb2.StreamPredictRequest:
    """A message with one image."""
    return digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=pixels))


def quick_and_small() -> str:
    """The first answer within 2 s of the command, under 120 MB resident, no TensorFlow in it."""
    images, _ = test_set()
    start = time.monotonic()
    with server_command() as command, grpc.insecure_channel(command.address) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        stub.Predict(digits_pb2.PredictRequest(pixels=images[0].tobytes()))
        first = time.monotonic() - start
        for at in range(0, 10_000, 1000):
            pixels = images[at : at + 1000].tobytes()
            stub.Predict(digits_pb2.PredictRequest(pixels=pixels, count=1000))
        megabytes = command.resident_bytes() / 1e6
        mapped = Path(f"/proc/{command.process.pid}/maps").read_text(encoding="utf-8")
    tensorflow = len(re.findall(r"/site-packages/tensorflow/", mapped))
    return expect(
        not tensorflow,
        f"first answer after {first:.2f} s; {megabytes:.0f} MB resident after 10,001 images; "
        f"{tensorflow} files of TensorFlow mapped",
        bounds=first < 2 and megabytes < 120,
    )


def client_alone() -> str:
    """`pip install .` in an empty environment: imports, predicts, no NumPy, no TensorFlow."""
    code = (
        "import sys, importlib.util as u\n"
        "from digitserve.client import DigitClient\n"
        "assert not u.find_spec('numpy') and not u.find_spec('tensorflow')\n"
        "with DigitClient(sys.argv[1]) as client: print(client.predict(bytes(784)).version)\n"
    )
    with tempfile.TemporaryDirectory() as folder, server_command() as command:
        environment = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        before = size(environment)
        python, digitserve = (str(environment / "bin" / name) for name in ("python", "digitserve"))
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-compile", str(ROOT)], check=True)
        megabytes = (size(environment) - before) / 1e6
        version = said_by(python, "-c", code, command.address)
        sample = str(ROOT / "samples/7.pgm")
        line = said_by(digitserve, "predict", "--json", "--address", command.address, sample)
        digit = json.loads(line)["digit"]
    return expect(
        version == BUNDLE.name and digit == 7 and megabytes < 30,
        f"version {version} answered the library; the command read 7.pgm as {digit}; "
        f"{megabytes:.1f} MB installed",
    )


def said_by(*command: str) -> str:
    """Runs a command away from the project; returns what it said."""
    done = subprocess.run(command, cwd="/", check=True, capture_output=True, text=True)
    return done.stdout.strip()


def size(folder: Path) -> int:
    """The bytes of every file below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def every_seventh_malformed() -> str:
    """10,000 frames, every 7th malformed: a status for each of those, a right answer for others."""
    images, _ = test_set()
    with server_command() as command, grpc.insecure_channel(command.address) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        right = [
            prediction
            for start in range(0, 10_000, 1000)
            for prediction in stub.Predict(
                digits_pb2.PredictRequest(pixels=images[start : start + 1000].tobytes(), count=1000)
            ).predictions
        ]
        call = stub.StreamPredict(
            frame(image.tobytes()[: 783 if at % 7 == 6 else 784]) for at, image in enumerate(images)
        )
        replies = list(call)
        ended = call.code()
    failed = sum(reply.HasField("failed") for reply in replies)
    wrong = sum(
        reply.failed.code != grpc.StatusCode.INVALID_ARGUMENT.value[0]
        if at % 7 == 6
        else list(reply.predicted.predictions) != [right[at]]
        for at, reply in enumerate(replies)
    )
    return expect(
        len(replies) == 10_000
        and failed == 10_000 // 7
        and not wrong
        and ended is grpc.StatusCode.OK,
        f"{len(replies)} outcomes, {failed} failed, {wrong} not as they should be, "
        f"stream ended {ended.name}",
    )


def waiting_caller() -> str:
    """A caller who waits for each answer is never stalled; a vanished one leaves no task."""
    with serving() as up, up.digits() as stub:
        heard = 0

        def one_by_one() -> Iterator[digits_pb2.StreamPredictRequest]:
            for at in range(1000):
                while heard < at:
                    time.sleep(0)
                yield frame(bytes(784))

        for _ in stub.StreamPredict(one_by_one(), timeout=60):
            heard += 1
        before = up.tasks()
        for _ in range(100):
            with up.digits() as caller:
                next(caller.StreamPredict(frame(bytes(784)) for _ in range(100)))
        deadline = time.monotonic() + 10
        while (left := up.tasks() - before) > 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        streams = len(up.server.streams)
    return expect(
        heard == 1000 and left <= 0 and not streams,
        f"{heard} of 1,000 answered one by one; after 100 vanished callers {max(left, 0)} tasks "
        f"and {streams} streams left",
    )


def drains() -> str:
    """SIGTERM during a stream: notice, every accepted frame answered, the rest refused in band."""
    bad = []
    accepted = refused = 0
    for _ in range(REPETITIONS):
        result = drained_stream()
        accepted += result.answered
        refused += result.refused
        if result.fault:
            bad.append(result.fault)
    return expect(
        not bad,
        f"{REPETITIONS - len(bad)} of {REPETITIONS} clean; {accepted} frames accepted and "
        f"answered, {refused} refused in band" + (f"; first fault: {bad[0]}" if bad else ""),
    )


if __name__ == "__main__":
    prove(
        ("all test images, both ways, as Keras reads them", same_digits_as_keras),
        ("server: quick, small, no TensorFlow", quick_and_small),
        ("`pip install .` alone", client_alone),
        ("stream of 10,000, every 7th malformed", every_seventh_malformed),
        ("waiting caller, vanished caller", waiting_caller),
        ("SIGTERM during a stream", drains),
        ("fresh clone: make demo, make test", fresh_clone),
    )
