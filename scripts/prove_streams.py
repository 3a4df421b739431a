"""`make prove-streams`: the promises about streams, each measured anew, with its figure.

`--short` takes less time over each; the promises are the same.
"""

import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import grpc  # noqa: E402

from digitserve.client import Delivery, DigitClient, Outcome, Predicted, Skipped  # noqa: E402
from digitserve.server.versions.loading import BUNDLED  # noqa: E402
from digitserve.v1 import digits_pb2, digits_pb2_grpc  # noqa: E402
from found_digits import scored  # noqa: E402
from many_streams import opened_and_cancelled, thousand_streams  # noqa: E402
from proving import Shortfall, expect, prove  # noqa: E402
from support.command import Command, server_command, slow_server  # noqa: E402

SHORT = "--short" in sys.argv
IMAGE = bytes(784)


# --- a slow engine and a fast camera -------------------------------------------------------------


def overrun(delivery: Delivery, max_age: float | None) -> tuple[list[tuple[float, Outcome]], float]:
    """200 frames a second for an engine that takes 20 ms an image.

    Returns:
        Each outcome with its frame's age when it came, and by which share the server's memory moved
        in the second half.
    """
    seconds = 12 if SHORT else 60
    captured: list[float] = []
    resident: list[int] = []

    def camera() -> Iterator[bytes]:
        start = time.monotonic()
        for at in range(200 * seconds):
            time.sleep(max(0.0, start + at / 200 - time.monotonic()))
            captured.append(time.monotonic())
            if at % 100 == 0:
                resident.append(command.resident_bytes())
            yield IMAGE

    with slow_server("--image-ms", "20") as command, DigitClient(command.address) as client:
        outcomes = [
            (time.monotonic() - captured[outcome.sequence], outcome)
            for outcome in client.stream(camera(), delivery=delivery, max_age=max_age)
        ]
    if sorted(outcome.sequence for _, outcome in outcomes) != list(range(len(captured))):
        raise Shortfall(f"{len(captured)} frames sent, {len(outcomes)} outcomes, not one for each")
    half = resident[len(resident) // 2 :]
    return outcomes, (max(half) - min(half)) / min(half)


def counted(outcomes: list[tuple[float, Outcome]]) -> str:
    """The counts of a stream, which add up."""
    kinds = Counter(type(outcome).__name__.lower() for _, outcome in outcomes)
    return f"{len(outcomes)} sent = " + " + ".join(f"{kinds[kind]} {kind}" for kind in kinds)


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else float("inf")


def latest() -> str:
    """LATEST: memory flat, answered frames young, counts exact."""
    outcomes, moved = overrun(Delivery.LATEST, None)
    age = p99([age for age, outcome in outcomes if isinstance(outcome, Predicted)])
    return expect(
        True,
        f"{counted(outcomes)}; p99 age of the answered {age * 1e3:.0f} ms; "
        f"memory moved {moved:.1%} in the second half",
        bounds=moved < 0.02 and age < 0.1,
    )


def ordered() -> str:
    """ORDERED with a maximum age of 100 ms: what is too old is skipped, the rest is young."""
    outcomes, moved = overrun(Delivery.ORDERED, 0.1)
    skipped = sum(isinstance(outcome, Skipped) for _, outcome in outcomes) / len(outcomes)
    predicted = [(age, outcome) for age, outcome in outcomes if isinstance(outcome, Predicted)]
    waited = p99([outcome.wait for _, outcome in predicted])
    seen = p99([age - outcome.model for age, outcome in predicted])
    return expect(
        True,
        f"{counted(outcomes)}; {skipped:.0%} skipped; p99 of the answered's age when their turn "
        f"came {waited * 1e3:.1f} ms (age less model time, by the client's clock, "
        f"{seen * 1e3:.1f} ms); memory moved {moved:.1%}",
        bounds=skipped >= 0.7 and waited < 0.1 and moved < 0.02,
    )


# --- restarts ------------------------------------------------------------------------------------


def rolling_restart(number: signal.Signals) -> str:
    """Two servers, restarted one after the other, five times, while 20 streams run."""
    rounds = 2 if SHORT else 5
    addresses = [free_address() for _ in range(2)]
    runs = [NumberedStream(addresses[at % 2 :] + addresses[: at % 2]) for at in range(20)]
    with ExitStack() as servers:
        running = [servers.enter_context(serve_at(address)) for address in addresses]
        for run in runs:
            run.start()
        for _ in range(rounds):
            for at, address in enumerate(addresses):
                running[at].signal(number)
                running[at].wait()
                running[at] = servers.enter_context(serve_at(address))
                time.sleep(0.5)
        for run in runs:
            run.over.set()
        for run in runs:
            run.join()
    faults = [run.fault for run in runs if run.fault]
    return expect(
        not faults,
        f"{rounds} rounds, {len(runs)} streams, {sum(run.frames for run in runs)} frames: "
        f"{len(faults)} streams with a frame lost or doubled"
        + (f"; first: {faults[0]}" if faults else ""),
    )


class NumberedStream(threading.Thread):
    """A stream of frames, 50 a second until `over`, and what was wrong with its outcomes."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__()
        self.over = threading.Event()
        self.frames = 0
        self.fault = ""
        self._addresses = addresses

    def run(self) -> None:
        """Streams, and compares."""
        try:
            with DigitClient(self._addresses) as client:
                outcomes = list(client.stream(self._numbered()))
        except Exception as error:
            self.fault = str(error)
            return
        if [outcome.sequence for outcome in outcomes] != list(range(self.frames)):
            self.fault = f"{len(outcomes)} outcomes for {self.frames} frames"
        elif not all(isinstance(outcome, Predicted) for outcome in outcomes):
            self.fault = "not every frame was predicted"

    def _numbered(self) -> Iterator[bytes]:
        while not self.over.is_set():
            self.frames += 1
            yield IMAGE
            time.sleep(0.02)


def serve_at(address: str) -> Any:
    """A server that does not dawdle when it is told to stop."""
    return server_command("--address", address, "--lame-duck", "0.2")


def free_address() -> str:
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


# --- fairness ------------------------------------------------------------------------------------


def unary_p99(streams: int, images: int, *, fair: bool) -> tuple[float, float]:
    """A unary caller's p99 beside streams that flood, and the longest engine call, in seconds."""
    unfair = () if fair else ("--turn-images", "100000")
    message = digits_pb2.StreamPredictRequest(
        frame=digits_pb2.Frame(pixels=IMAGE * images, count=images)
    )
    with slow_server("--image-ms", "2", *unfair) as command, ExitStack() as stack:
        for _ in range(streams):
            channel = stack.enter_context(connected(command))
            stub = digits_pb2_grpc.DigitServiceStub(channel)
            call = stub.StreamPredict(iter(lambda: message, None))
            threading.Thread(target=drained, args=(call,), daemon=True).start()
        stub = digits_pb2_grpc.DigitServiceStub(stack.enter_context(connected(command)))
        time.sleep(1)
        times = []
        calls = (100 if SHORT else 300) if fair else 20
        for _ in range(calls):
            start = time.monotonic()
            stub.Predict(digits_pb2.PredictRequest(pixels=IMAGE))
            times.append(time.monotonic() - start)
        longest = command.told()["longest"]
    return p99(times), longest


def connected(command: Command) -> grpc.Channel:
    """A connection of its own."""
    return grpc.insecure_channel(command.address, [("grpc.use_local_subchannel_pool", 1)])


def drained(call: Any) -> None:
    """Reads a call's responses until it ends, however it does."""
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass


def fairness() -> str:
    """Beside any flood, a unary caller waits for at most three of the longest turns."""
    told, bounds = [], True
    longest = 0.0
    for name, streams, images in (
        ("1 stream", 1, 1),
        ("4 streams", 4, 1),
        ("256 a message", 1, 256),
    ):
        slowest, longest = unary_p99(streams, images, fair=True)
        bounds &= slowest <= 3 * longest
        told.append(f"{name} {slowest / longest:.1f} turns")
    unfair, _ = unary_p99(1, 256, fair=False)
    bounds &= unfair > 3 * longest
    return expect(
        True,
        f"unary p99 beside {', '.join(told)} of {longest * 1e3:.0f} ms; "
        f"without fair turns {unfair / longest:.0f} turns",
        bounds=bounds,
    )


# --- the finder ----------------------------------------------------------------------------------


def finder() -> str:
    """The finder on the synthetic camera, seeds 0 to 199, read by the bundled model."""
    network = BUNDLED / "1" / "model.tflite"
    normal = scored(network, "normal", 200)
    seeds = 50 if SHORT else 200
    others = [f"{name}: {scored(network, name, seeds)}" for name in ("gentle", "hard")]
    return expect(
        normal.found_share >= 0.98 and normal.false_share < 0.01,
        f"normal: {normal}; " + "; ".join(others),
    )


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    prove(
        ("LATEST, 20 ms an image, 200 frames/s", latest),
        ("ORDERED, max_age 100 ms, the same load", ordered),
        ("rolling restart, SIGTERM", lambda: rolling_restart(signal.SIGTERM)),
        ("rolling restart, kill -9", lambda: rolling_restart(signal.SIGKILL)),
        ("fairness, 2 ms an image", fairness),
        ("finder on the synthetic camera", finder),
        ("1,000 streams at once", lambda: thousand_streams(SHORT)),
        ("streams cancelled", lambda: opened_and_cancelled(SHORT)),
    )
