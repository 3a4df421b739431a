"""What is measured: servers in processes of their own, and the questions that are put to them."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.echo import PREDICTION
from benchmarks.http2 import Access, Connection, Exchange, Tally
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.command import Command, server_command, started
from support.mnist import find_mnist

ROOT = Path(__file__).resolve().parent.parent
# The notebook's network, unless another bundled version is named: `make bench-quick VERSION=3`.
VERSION = os.environ.get("DIGITSERVE_BENCH_VERSION") or "1"
MODEL = ROOT / "server/digitserve/server/bundled" / VERSION / "model.tflite"
# Of digitserve's server; more than one: `make bench-quick WORKERS=2`.
WORKERS = os.environ.get("DIGITSERVE_BENCH_WORKERS") or "1"
FLAGS = ("--models", str(MODEL.parent), "--workers", WORKERS)
IMAGES = 64

# Of an echo, whatever it is asked.
_ECHO = PREDICTION.SerializeToString()


def images() -> list[bytes]:
    """Digits of MNIST's test set where it is, else noise: the network does not mind."""
    found = find_mnist()
    if found is None:
        noise = np.random.default_rng(0).integers(0, 256, (IMAGES, 784), dtype=np.uint8)
        return [image.tobytes() for image in noise]
    from digitserve.trainer.dataset import load  # noqa: PLC0415 - only where there is MNIST

    return [image.tobytes() for image in load(found).test_images[:IMAGES]]


@dataclass(frozen=True, slots=True)
class Questions:
    """Prepared messages, each with what a right answer to it contains."""

    one: list[Exchange]
    frame: list[Exchange]

    def many(self, images: int) -> list[Exchange]:
        """One call of so many images: those of the single ones, over and over."""
        singles = [self.one[at % len(self.one)] for at in range(images)]
        pixels = b"".join(_pixels(each.message) for each in singles)
        request = digits_pb2.PredictRequest(pixels=pixels, count=images)
        # Answers do not depend on what they were batched with: the last one stands for all.
        return [Exchange(request.SerializeToString(), singles[-1].answer)]


@dataclass(slots=True)
class Subject:
    """A server that is up."""

    command: Command
    questions: Questions
    access: Access | None = None

    def unary(self, callers: int, seconds: float, images: int = 1) -> Tally:
        """Closed loop of unary calls."""
        asked = self.questions.one if images == 1 else self.questions.many(images)
        return self.asked(asked, callers, seconds)

    def frames(self, streams: int, seconds: float, in_flight: int = 64) -> Tally:
        """Streams that are never short of frames."""
        with Connection(self.command.address, self.access) as connection:
            asked = self.questions.frame
            return connection.streams("StreamPredict", asked, streams, in_flight, seconds)

    def asked(self, exchanges: list[Exchange], callers: int, seconds: float) -> Tally:
        """Closed loop of these unary calls."""
        with Connection(self.command.address, self.access) as connection:
            return connection.unary("Predict", exchanges, callers, seconds)

    def cpu_us(self, load: Callable[[], Tally]) -> float:
        """Processor time of the server for each answer of a load, in microseconds."""
        before = self.command.cpu_seconds()
        tally = load()
        return (self.command.cpu_seconds() - before) / tally.answers * 1e6


@contextmanager
def echo_and_server() -> Iterator[dict[str, Subject]]:
    """The bare echo, the same again, and digitserve's server, all up."""
    with ExitStack() as stack:
        commands = {
            "reference": stack.enter_context(started("benchmarks.echo")),
            "again": stack.enter_context(started("benchmarks.echo")),
            "ours": stack.enter_context(server_command(*FLAGS, "--metrics", "127.0.0.1:0")),
        }
        pictures = images()
        check(commands["ours"].address, pictures)
        yield {kind: subject_of(command, kind, pictures) for kind, command in commands.items()}


def subject_of(command: Command, kind: str, pictures: list[bytes]) -> Subject:
    """Prepares what a server of this kind is asked."""
    return Subject(command, _questions(command, kind, pictures))


def check(address: str, pictures: list[bytes], model: Path = MODEL) -> None:
    """Compares a server's answers with the engine's own, before they are counted."""
    from digitserve.server.engines.litert import LiteRTEngine  # noqa: PLC0415

    engine = LiteRTEngine(model, largest=1)
    with grpc.insecure_channel(address) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        for pixels in pictures:
            (told,) = stub.Predict(digits_pb2.PredictRequest(pixels=pixels)).predictions
            known = engine.predict(np.frombuffer(pixels, np.uint8).reshape(1, 28, 28))
            if list(told.probabilities) != known.probabilities[0].tolist():
                raise SystemExit(f"benchmarks: {address} does not say what the engine says")


def _questions(command: Command, kind: str, pictures: list[bytes]) -> Questions:
    with grpc.insecure_channel(command.address) as channel:
        stub: Any = digits_pb2_grpc.DigitServiceStub(channel)
        one, frame = [], []
        for pixels in pictures:
            request = digits_pb2.PredictRequest(pixels=pixels)
            told = _ECHO
            if kind == "ours":
                told = stub.Predict(request).predictions[0].SerializeToString()
            one.append(Exchange(request.SerializeToString(), told))
            sent = digits_pb2.StreamPredictRequest(frame=digits_pb2.Frame(pixels=pixels))
            frame.append(Exchange(sent.SerializeToString(), told))
    return Questions(one, frame)


def _pixels(message: bytes) -> bytes:
    return digits_pb2.PredictRequest.FromString(message).pixels


def first_answer(start: Callable[[], Any], pixels: bytes) -> tuple[float, float]:
    """Seconds from the command to its first answer; its resident memory after it, in MB."""
    begun = time.perf_counter()
    with start() as command:
        request = digits_pb2.PredictRequest(pixels=pixels)
        exchange = [Exchange(request.SerializeToString(), b"\x10\x01")]
        with Connection(command.address) as connection:
            connection.unary("Predict", exchange, 1, 0.0)
            taken = time.perf_counter() - begun
            connection.unary("Predict", exchange, 16, 0.3)
        return taken, command.resident_bytes() / 1e6


def median_us(tally: Tally) -> float:
    """The median latency, in microseconds."""
    return statistics.median(tally.latencies) * 1e6
