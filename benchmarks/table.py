"""The rows of `make bench-quick`: what digitserve promises of its speed, without other servers."""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from benchmarks import clients
from benchmarks.rows import Row
from benchmarks.subjects import FLAGS, MODEL, Subject, first_answer, images, median_us
from digitserve.server.engines.litert import LiteRTEngine
from support.command import server_command, started

SLICE_S = 0.4
CALLERS = 16
# Calls a second at which latencies are compared: a fifth of what unary calls reach.
MODERATE_RATE = 1000.0


def server_rows(up: dict[str, Subject], runner: asyncio.Runner) -> Iterator[Row]:
    """Against the bare echo; the load costs the machine next to nothing (`http2`)."""

    def of(measure: Callable[[Subject], float]) -> Callable[[str], float]:
        return lambda kind: measure(up[kind])

    yield Row(
        "unary: server CPU a call, 16 callers",
        "µs",
        of(lambda each: each.cpu_us(partial(each.unary, CALLERS, SLICE_S))),
        *(1.25, 1.1),
        at_most=True,
    )
    yield Row(
        "unary: calls/s, 16 callers", "/s", of(lambda each: each.unary(CALLERS, SLICE_S).rate)
    )
    yield Row(
        "unary: p50, one caller (bare socket)",
        "µs",
        of(lambda each: median_us(each.unary(1, SLICE_S))),
        at_most=True,
    )
    yield Row(
        "stream: frames/s, 1 stream", "/s", of(lambda each: each.frames(1, SLICE_S).rate), 1.5, 2.3
    )
    yield Row(
        "stream: frames/s, 16 streams",
        "/s",
        of(lambda each: each.frames(16, SLICE_S).rate),
        *(1.5, 2.3),
    )
    yield Row(
        "images/s, 32 a message, 4 callers",
        "/s",
        of(lambda each: 32 * each.unary(4, SLICE_S, images=32).rate),
        *(0.75, 0.9),
    )
    pictures = images()
    yield Row(
        "unary: p50, one caller (this client)",
        "µs",
        of(lambda each: runner.run(clients.median_us(each.command.address, pictures, SLICE_S))),
        *(1.15, 1.05),
        at_most=True,
    )


def engine_rows() -> Iterator[Row]:
    """Against raw LiteRT calls."""
    engine = LiteRTEngine(MODEL, largest=32)
    rng = np.random.default_rng(0)
    for size, calls in ((1, 8000), (8, 4000), (32, 1500)):
        batch = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        ways: dict[str, Callable[[Any], object]] = {
            "ours": engine.predict,
            "reference": _raw(MODEL, size),
            "again": _raw(MODEL, size),
        }
        yield Row(
            f"engine: images/s, batch {size}",
            "/s",
            lambda kind, ways=ways, batch=batch, calls=calls: _rate(ways[kind], batch, calls),  # type: ignore[misc]
            *(0.90, 0.97),
        )


def client_rows(address: str, runner: asyncio.Runner) -> Iterator[Row]:
    """Many calls on one stream, against the same calls as unary RPCs.

    What a Python process gets out of a bare grpc.aio server is what it gains on; how much of that
    is the pipeline's, and how much this server's, the rows without a bound tell (docs/decisions).
    """
    pictures = images()

    def asked(measure: Callable[[str, str], float], bare: str | None = None) -> Any:
        return lambda kind: measure(address if kind == "ours" or bare is None else bare, kind)

    def loop(at: str, kind: str) -> float:
        return runner.run(clients.async_rate(at, pictures, kind, SLICE_S))

    def threads(at: str, kind: str) -> float:
        return clients.thread_rate(at, pictures, kind, SLICE_S)

    def p99(at: str, kind: str) -> float:
        return runner.run(clients.p99_us(at, pictures, kind, MODERATE_RATE, 2.0))

    with started("benchmarks.echo", str(MODEL)) as bare:
        yield Row("64 concurrent predict(), async", "/s", asked(loop, bare.address), *(12, 20))
        yield Row("64 concurrent predict(), threads", "/s", asked(threads, bare.address), *(6, 9))
    yield Row("the same, to unary calls here, async", "/s", asked(loop))
    yield Row("the same, to unary calls here, threads", "/s", asked(threads))
    yield Row(
        f"p99 of predict() at {MODERATE_RATE:,.0f}/s", "µs", asked(p99), *(1.0, 0.6), at_most=True
    )


def start_rows() -> Iterator[Row]:
    """Against a bare server with the engine."""
    (pixels, *_) = images()
    bare = partial(started, "benchmarks.echo", str(MODEL))
    ours = partial(server_command, *FLAGS)

    def start(kind: str) -> tuple[float, float]:
        return first_answer(ours if kind == "ours" else bare, pixels)

    yield Row("start to first answer", "s", lambda kind: start(kind)[0], 1.5, 1.2, at_most=True)
    yield Row("resident memory", "MB", lambda kind: start(kind)[1], 1.5, 1.2, at_most=True)


def _raw(model: Path, size: int) -> Callable[[Any], object]:
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, [size, 28, 28])
    interpreter.allocate_tensors()
    out = interpreter.get_output_details()[0]["index"]

    def call(batch: Any) -> object:
        interpreter.set_tensor(entry, batch)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return call


def _rate(predict: Callable[[Any], object], batch: Any, calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        predict(batch)
    return calls * len(batch) / (time.perf_counter() - begun)
