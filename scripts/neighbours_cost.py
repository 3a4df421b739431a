"""What a call costs by other people's protocols, beside `Predict`, in one run."""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.http2 import Connection, Exchange, Tally
from digitserve.server.adapters.open_inference.messages import MESSAGES
from digitserve.v1 import digits_pb2
from proving import expect
from support.command import Command, server_command

_MODELS = Path(__file__).parents[1] / "server/digitserve/server/bundled/1"
_PIXELS = bytes(range(256)) * 3 + bytes(16)
_OPEN_INFERENCE = "/inference.GRPCInferenceService/ModelInfer"
_ROUNDS = 15
_SLICE_S = 0.4
_BOUND = 1.15

Load = Callable[[int], Tally]


def model_infer() -> str:
    """ModelInfer to `Predict`: server CPU a call of 16 callers, and the median of one caller."""
    predict = digits_pb2.PredictRequest(pixels=_PIXELS)
    infer = MESSAGES.ModelInferRequest(model_name="digits", raw_input_contents=[_PIXELS])
    infer.inputs.add(name="pixels", datatype="UINT8", shape=[1, 28, 28])
    with server_command("--models", str(_MODELS)) as command:
        ours = partial(_asked, command, "Predict", predict.SerializeToString())
        theirs = partial(_asked, command, _OPEN_INFERENCE, infer.SerializeToString())
        cpu = _ratio(partial(_cpu_us, command), theirs, ours)
        median = _ratio(_median_us, theirs, ours)
    return expect(
        True,
        f"server CPU a call {cpu:.2f}, p50 of one caller {median:.2f}; bound {_BOUND}",
        pace=cpu <= _BOUND and median <= _BOUND,
    )


def _asked(command: Command, method: str, message: bytes, callers: int) -> Tally:
    with Connection(command.address) as connection:
        return connection.unary(method, [Exchange(message, b"")], callers, _SLICE_S)


def _cpu_us(command: Command, load: Load) -> float:
    before = command.cpu_seconds()
    tally = load(16)
    return (command.cpu_seconds() - before) / tally.answers * 1e6


def _median_us(load: Load) -> float:
    return statistics.median(load(1).latencies) * 1e6


def _ratio(measure: Callable[[Load], float], one: Load, other: Load) -> float:
    """The median of what one costs to the other, measured in turns."""
    ratios = []
    for at in range(_ROUNDS):
        first, second = (one, other) if at % 2 else (other, one)
        costs = {first: measure(first), second: measure(second)}
        ratios.append(costs[one] / costs[other])
    return statistics.median(ratios)
