"""What goes through a proxy while something happens behind it: streams, and calls on time."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import grpc

from digitserve.client import DigitClient, Frame, Predicted
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from polyglot.languages import read_cases
from proving import Shortfall

# Seconds between two frames of a stream, and between two calls.
_FRAME_S, _CALL_S = 0.02, 0.02
# Seconds above which a call was slow: many times what one takes on a machine that does other work.
SLOW_S = 0.5
_CALL_TIMEOUT_S = 15.0
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def pictures() -> tuple[bytes, ...]:
    """The ten digits, in their order, as the conformance cases have them."""
    parts = read_cases()[1]["pixels"]
    return tuple(bytes.fromhex(parts[each]["hex"]) * parts[each].get("times", 1) for each in _NAMES)


class SteadyStream(threading.Thread):
    """A stream of 50 frames a second until `over`, each a digit that is known.

    Attributes:
        over: to be set for its end.
        frames: how many were sent.
        longest_s: the longest pause between two outcomes.
        fault: what was wrong with its outcomes; empty if nothing was.
    """

    def __init__(self, client: DigitClient, pace_s: float = _FRAME_S) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.frames = 0
        self.longest_s = 0.0
        self.fault = ""
        self._client = client
        self._pace_s = pace_s

    def run(self) -> None:
        """Streams, and compares each outcome with its frame."""
        heard, last = 0, time.monotonic()
        try:
            for outcome in self._client.stream(self._frames()):
                now = time.monotonic()
                self.longest_s, last = max(self.longest_s, now - last), now
                if outcome.sequence != heard or outcome.frame_id != str(heard):
                    self.fault = f"outcome {heard} was that of frame {outcome.sequence}"
                elif not isinstance(outcome, Predicted):
                    self.fault = f"frame {heard}: {outcome}"
                elif outcome.predictions[0].digit != heard % 10:
                    self.fault = f"frame {heard}: {outcome.predictions[0].digit}"
                if self.fault:
                    return
                heard += 1
        except Exception as error:
            self.fault = f"after {heard} outcomes: {error}"
            return
        if heard != self.frames:
            self.fault = f"{heard} outcomes of {self.frames} frames"

    def _frames(self) -> Iterator[Frame]:
        while not self.over.is_set():
            number = self.frames
            self.frames += 1
            yield Frame(pictures()[number % 10], frame_id=str(number))
            time.sleep(self._pace_s)


@contextmanager
def streaming(
    clients: Sequence[DigitClient], pace_s: float = _FRAME_S
) -> Iterator[list[SteadyStream]]:
    """A stream of each of these clients while the block runs; then their ends are waited for."""
    streams = [SteadyStream(client, pace_s) for client in clients]
    for each in streams:
        each.start()
    try:
        yield streams
    finally:
        for each in streams:
            each.over.set()
        for each in streams:
            each.join(timeout=60)
            each.fault = each.fault or ("did not end" if each.is_alive() else "")


@dataclass(frozen=True)
class Asked:
    """A call that ended.

    Attributes:
        begun: when it was asked.
        seconds: how long it took.
        fault: why it failed; empty if it did not.
    """

    begun: float
    seconds: float
    fault: str


class TimedCalls(threading.Thread):
    """A call every 20 ms, whether the ones before were answered or not, and nothing asked twice.

    Attributes:
        asked: those that ended.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__(daemon=True)
        self.asked: list[Asked] = []
        self._predict: Any = digits_pb2_grpc.DigitServiceStub(channel).Predict
        self._over = threading.Event()
        self._calls: list[Any] = []

    def run(self) -> None:
        """Asks until it is stopped."""
        start, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, start + number * _CALL_S - time.monotonic())):
            request = digits_pb2.PredictRequest(pixels=pictures()[number % 10])
            call = self._predict.future(request, timeout=_CALL_TIMEOUT_S)
            call.add_done_callback(self._note(time.monotonic(), number % 10))
            self._calls.append(call)
            number += 1

    def _note(self, begun: float, digit: int) -> Any:
        def note(call: Any) -> None:
            fault = ""
            if error := call.exception():
                fault = f"{error.code().name}: {error.details()}"
            elif (got := call.result().predictions[0].digit) != digit:
                fault = f"{got} in place of {digit}"
            self.asked.append(Asked(begun, time.monotonic() - begun, fault))

        return note

    def stop(self) -> None:
        """Asks no more, and waits for what was asked."""
        self._over.set()
        self.join()
        until = time.monotonic() + _CALL_TIMEOUT_S + 1
        while len(self.asked) < len(self._calls) and time.monotonic() < until:
            time.sleep(0.05)


def troubled(asked: Iterable[Asked], begin: float, end: float) -> list[Asked]:
    """The calls that were begun in this time and failed, or were slow."""
    return [
        each
        for each in asked
        if begin <= each.begun < end and (each.fault or each.seconds > SLOW_S)
    ]


def ask_many(channel: grpc.Channel, calls: int, at_once: int = 16) -> None:
    """Asks so many, some at once; each has to be answered right."""
    predict: Any = digits_pb2_grpc.DigitServiceStub(channel).Predict

    def ask(number: int) -> None:
        request = digits_pb2.PredictRequest(pixels=pictures()[number % 10])
        got = predict(request, timeout=_CALL_TIMEOUT_S).predictions[0].digit
        if got != number % 10:
            raise Shortfall(f"{got} in place of {number % 10}")

    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(ask, range(calls)):
            pass
