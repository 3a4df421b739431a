"""Reads digits with grpcio and the generated stubs: what a Python program needs, and no more.

`digitserve.client` does all of this and more; this is for whoever wants the stubs alone.
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Condition

import grpc
from google.rpc import error_details_pb2

from digitserve.v1 import digits_pb2
from digitserve.v1.digits_pb2_grpc import DigitServiceStub

RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "digitserve.v1.DigitService", "method": "Predict"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # `grpc-retry-pushback-ms` says when a full queue is worth another try.
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(RETRY)),
    ("grpc.max_send_message_length", -1),  # the server says what is too long
]


def connect(address: str, ca: str | None = None, token: str | None = None) -> grpc.Channel:
    """Opens a channel: plain text, or TLS that trusts `ca`, with a bearer token for each call."""
    if ca is None:
        if token is not None:
            raise ValueError("a token is sent over TLS only")
        return grpc.insecure_channel(address, OPTIONS)
    credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes())
    if token is not None:
        bearer = grpc.access_token_call_credentials(token)
        credentials = grpc.composite_channel_credentials(credentials, bearer)
    return grpc.secure_channel(address, credentials, OPTIONS)


Response = digits_pb2.StreamPredictResponse


class Resuming:
    """Streams frames until each has its outcome, however many streams that takes.

    Attributes:
        streams: how many were opened.
        notices: why the server wanted them ended.
    """

    MOST_STREAMS = 20
    PAUSE_S = 0.1

    def __init__(
        self, servers: Sequence[DigitServiceStub], in_flight: int = 16, timeout: float = 60.0
    ) -> None:
        """Asks the servers in turn; keeps at most `in_flight` frames unanswered.

        Args:
            servers: a stub for each address.
            in_flight: frames that are written and have no outcome yet.
            timeout: seconds, of each stream.
        """
        self.streams = 0
        self.notices: list[int] = []
        self._servers, self._in_flight, self._timeout = servers, in_flight, timeout

    def outcomes(self, frames: Iterable[digits_pb2.Frame]) -> Iterator[Response]:
        """Gives one response for each frame.

        Raises:
            grpc.RpcError: what cannot be resumed.
        """
        todo = deque(frames)
        while todo or not self.streams:
            if self.streams == self.MOST_STREAMS:
                raise RuntimeError(
                    f"{len(todo)} frames have no outcome after {self.streams} streams"
                )
            server = self._servers[self.streams % len(self._servers)]
            self.streams += 1
            yield from self._one_stream(server, todo)

    def _one_stream(
        self, server: DigitServiceStub, todo: deque[digits_pb2.Frame]
    ) -> Iterator[Response]:
        """Takes frames from `todo`; puts those back that got no outcome."""
        unanswered: dict[int, digits_pb2.Frame] = {}  # by sequence
        changed = Condition()
        over = False

        def requests() -> Iterator[digits_pb2.StreamPredictRequest]:
            sequence = 0
            while True:
                with changed:
                    changed.wait_for(lambda: over or len(unanswered) < self._in_flight)
                    if over or not todo:
                        return
                    frame = unanswered[sequence] = todo.popleft()
                yield digits_pb2.StreamPredictRequest(frame=frame)
                sequence += 1

        call = server.StreamPredict(requests(), timeout=self._timeout)
        try:
            for response in call:
                if response.HasField("notice"):
                    self.notices.append(response.notice.reason)
                    with changed:  # write no more: half-close, and read to the end
                        over = True
                        changed.notify()
                elif reason_of(response) != "DRAINING":
                    with changed:
                        del unanswered[response.sequence]
                        changed.notify()
                    yield response
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(self.PAUSE_S)
        finally:
            with changed:
                over = True
                changed.notify()
            call.cancel()
            todo.extendleft(frame for _, frame in sorted(unanswered.items(), reverse=True))


def reason_of(response: Response) -> str:
    """Why a frame failed: the stable reason; empty if it did not."""
    info = error_details_pb2.ErrorInfo()
    for detail in response.failed.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


# --- the command ---------------------------------------------------------------------------------


def predict(stub: DigitServiceStub, pixels: bytes, _: argparse.Namespace) -> None:
    """Asks about one image, with a deadline."""
    response = stub.Predict(digits_pb2.PredictRequest(pixels=pixels), timeout=5)
    (prediction,) = response.predictions
    print(f"{prediction.digit} {prediction.confidence:.3f} (version {response.model_version})")


def stream(stub: DigitServiceStub, pixels: bytes, options: argparse.Namespace) -> None:
    """Sends numbered frames; every seventh is malformed and fails alone."""
    frames = [
        digits_pb2.Frame(frame_id=str(number), pixels=pixels[: 700 if number % 7 == 6 else None])
        for number in range(options.frames)
    ]
    for response in Resuming([stub]).outcomes(frames):
        if response.HasField("failed"):
            print(f"{response.frame_id}: {response.failed.message}")
        elif response.HasField("predicted"):
            print(f"{response.frame_id}: {response.predicted.predictions[0].digit}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--ca", help="a PEM file: speak TLS and trust this")
    parser.add_argument("--token", help="a bearer token, over TLS")
    parser.add_argument("call", choices=["predict", "stream"])
    parser.add_argument("file", type=Path, help="28x28 grey: a binary PGM, or 784 raw bytes")
    parser.add_argument("frames", type=int, nargs="?", default=20)
    options = parser.parse_args()
    calls: dict[str, Callable[[DigitServiceStub, bytes, argparse.Namespace], None]]
    calls = {"predict": predict, "stream": stream}
    try:
        pixels = options.file.read_bytes()[-784:]
        with connect(options.address, options.ca, options.token) as channel:
            calls[options.call](DigitServiceStub(channel), pixels, options)
    except grpc.RpcError as error:
        sys.exit(f"digits: {error.code().name}: {error.details()}")
    except (OSError, ValueError) as error:
        sys.exit(f"digits: {error}")


if __name__ == "__main__":
    main()
