"""Where each microsecond of a call goes inside the handler, step by step, in a hot loop.

In a loaded server each costs two to three times as much: caches, and a core that is shared.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.subjects import MODEL, images
from digitserve.server import codec, wire
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.engines.litert import LiteRTEngine
from digitserve.server.observe.calls import observed
from digitserve.server.observe.observer import Observer
from digitserve.server.services.digits import digit_service
from digitserve.server.services.drain import Drain
from digitserve.server.versions.loading import open_versions
from digitserve.server.versions.registry import Registry
from digitserve.v1 import digits_pb2

_CALLS = 4000
_ROUNDS = 7


class _Call:
    """A call without a transport."""

    def peer(self) -> str:
        return "nobody"

    def deadline(self) -> None:
        return None


def steps() -> dict[str, tuple[float, float]]:
    """Microseconds of each step, for a message of one image and of 32."""
    ones, many = _steps(1), _steps(32)
    return {name: (ones[name], many[name]) for name in ones}


def _steps(count: int) -> dict[str, float]:
    pictures = images()
    pixels = b"".join(pictures[at % len(pictures)] for at in range(count))
    data = digits_pb2.PredictRequest(pixels=pixels, count=count).SerializeToString()
    engine = LiteRTEngine(MODEL, largest=32)
    batch = np.frombuffer(pixels, np.uint8).reshape(count, 28, 28)
    answer, pen = engine.predict(batch), wire.Pen()
    registry = Registry()
    registry.publish(open_versions(Config(models=MODEL.parent)))
    request = digits_pb2.PredictRequest.FromString(data)

    def handling(sent: Any, observer: Observer | None) -> Callable[[], None]:
        service = digit_service(Config(), registry, Drain(), Admission(1 << 14, 0.5), observer)
        handle: Any = observed(service, observer).methods["Predict"].unary

        def handled() -> None:
            coroutine = handle(sent, _Call())
            try:
                coroutine.send(None)
            except StopIteration:
                return
            raise AssertionError("a light network is not waited for")

        return handled

    found = {
        "read the message": _us(lambda: digits_pb2.PredictRequest.FromString(data)),
        "check the pixels": _us(lambda: codec.decode_images(request.pixels, count, 0, 1024)),
        "run the network": _us(lambda: engine.predict(batch)),
        "write the answer": _us(lambda: wire.predict_response(pen.records(answer, 0), 1)),
    }
    whole = found["read the message"] + _us(handling(request, None))
    found["version, admission, deadline, turn"] = whole - sum(found.values())
    found["together"] = whole
    found["what metrics add"] = _us(handling(data, Observer())) - whole
    return found


def _us(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        for _ in range(_CALLS):
            call()
        best = min(best, time.perf_counter() - begun)
    return best / _CALLS * 1e6


def told(found: dict[str, tuple[float, float]]) -> str:
    """As a table."""
    lines = [f"{'in the handler, hot, µs':44} {'1 image':>8} {'32 images':>10}"]
    lines += [f"{name:44} {one:8.2f} {many:10.2f}" for name, (one, many) in found.items()]
    return "\n".join(lines)
