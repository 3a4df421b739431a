"""A stream that is on when its server is told to stop: what the wire shows of it."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

import grpc
from google.rpc import error_details_pb2

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.command import server_command


@dataclass(frozen=True)
class Drained:
    """What came of such a stream.

    Attributes:
        answered: frames that were accepted, and answered.
        refused: frames that were refused in band.
        fault: what was not as promised; empty if all was.
    """

    answered: int
    refused: int
    fault: str


def drained_stream(before: int = 50, after: int = 20) -> Drained:
    """Starts a server and a stream, and sends SIGTERM in the middle of it.

    Args:
        before: answers after which the signal is sent; frames go on being sent until the notice.
        after: frames that are sent in spite of the notice.
    """
    noticed = Event()

    def frames() -> Iterator[digits_pb2.StreamPredictRequest]:
        frame = digits_pb2.Frame(pixels=bytes(784))
        while not noticed.is_set():
            yield digits_pb2.StreamPredictRequest(frame=frame)
        for _ in range(after):
            yield digits_pb2.StreamPredictRequest(frame=frame)

    with server_command("--lame-duck", "0") as command:
        with grpc.insecure_channel(command.address) as channel:
            call = digits_pb2_grpc.DigitServiceStub(channel).StreamPredict(frames(), timeout=60)
            replies, notices = [], []
            for response in call:
                if response.HasField("notice"):
                    notices.append(response.notice)
                    noticed.set()
                    continue
                replies.append(response)
                if len(replies) == before:
                    command.signal(signal.SIGTERM)
            code = call.code()
        exit_code = command.wait()
    refused = sum(_is_refusal(reply) for reply in replies)
    return Drained(
        len(replies) - refused, refused, _fault(replies, notices, code, exit_code, after)
    )


def _fault(
    replies: list[digits_pb2.StreamPredictResponse],
    notices: list[digits_pb2.Notice],
    code: grpc.StatusCode,
    exit_code: int,
    after: int,
) -> str:
    if len(notices) != 1:
        return f"{len(notices)} notices"
    accepted = notices[0].accepted
    if [reply.sequence for reply in replies] != list(range(len(replies))):
        return "an outcome is missing, doubled or out of order"
    if not all(reply.HasField("predicted") for reply in replies[:accepted]):
        return "an accepted frame was not answered"
    if not all(map(_is_refusal, replies[accepted:])) or len(replies) - accepted < after:
        return "a frame after the notice was not refused in band"
    if code is not grpc.StatusCode.OK or exit_code:
        return f"the stream ended {code.name}, the server with {exit_code}"
    return ""


def _is_refusal(reply: digits_pb2.StreamPredictResponse) -> bool:
    info = error_details_pb2.ErrorInfo()
    return (
        reply.failed.code == grpc.StatusCode.UNAVAILABLE.value[0]
        and any(detail.Unpack(info) for detail in reply.failed.details)
        and info.reason == "DRAINING"
    )
