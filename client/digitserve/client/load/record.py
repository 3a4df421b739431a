"""The books of a run: what was sent, and what became of it.

Written on the loop that also sends, so entering an answer is a few dictionary and integer steps.
"""

from collections import Counter
from collections.abc import Sequence

import grpc

from digitserve.client.errors import CallError, DigitServeError, StreamEnded
from digitserve.client.load.batches import Batch
from digitserve.client.load.histogram import Histogram
from digitserve.client.types import Prediction

#: What a call may end with; anything else is a mistake of ours and ends the run.
CALL_ERRORS = (DigitServeError, grpc.RpcError)


class Record:
    """What a run came to, in calls (for a stream: frames).

    Sent = answered + failed, once the run is over and `close` was called.

    Attributes:
        end: the instant, by the loop's clock, from which on nothing more is sent.
        sent: calls that were started.
        not_sent: calls of the schedule that were not, because too many were in flight.
        answered: calls whose answer came and was right as far as that is checked.
        failed: calls that failed, by status and reason, or by what was wrong with the answer.
        versions: the model versions that answered.
        latency: of answered calls: from the start (open loop: the intended one) to the answer.
        late: how long after its intended start a call was sent (open loop).
        wait: what answered frames waited in the server.
        model: what the model took for the batch that held the frame.
        gone: why the server is taken for gone, which ends the run; else None.
    """

    __slots__ = (
        "answered", "end", "failed", "gone", "late", "latency", "model", "not_sent",
        "sent", "versions", "wait",
    )  # fmt: skip

    def __init__(self, end: float) -> None:
        self.end = end
        self.sent = self.not_sent = self.answered = 0
        self.failed: Counter[str] = Counter()
        self.versions: set[int] = set()
        self.latency, self.late, self.wait, self.model = (Histogram() for _ in range(4))
        self.gone: Exception | None = None

    def answer(self, batch: Batch, predictions: Sequence[Prediction], seconds: float) -> None:
        """Enters an answer, if it is right; else a failure."""
        if fault := batch.fault(predictions):
            self.failed[fault] += 1
            return
        self.answered += 1
        self.versions.add(predictions[0].version)
        self.latency.add(seconds)

    def fail(self, error: Exception, calls: int = 1) -> None:
        """Enters calls that ended with this error, one of `CALL_ERRORS`."""
        if calls:
            self.failed[_name(error)] += calls
        if self.gone is None and _is_gone(error):
            self.gone = error
            self.end = float("-inf")

    def close(self, why: str) -> None:
        """The run is over: what is still without an answer gets none."""
        if left := self.sent - self.answered - self.failed.total():
            self.failed[why] += left


def _name(error: Exception) -> str:
    match error:
        case CallError(code=code, reason=reason):
            return f"{code.name} {reason}".strip()
        case StreamEnded(cause=cause):
            return f"STREAM_ENDED {cause.code.name if cause else ''}".strip()
        case grpc.RpcError():
            return str(error.code().name)
    return type(error).__name__


def _is_gone(error: Exception) -> bool:
    """Whether nobody is there: gRPC's own word, after the client has tried again for a while."""
    if isinstance(error, StreamEnded):  # it found no server to resume at
        return error.cause is None or error.cause.code is grpc.StatusCode.UNAVAILABLE
    if isinstance(error, CallError):
        return error.code is grpc.StatusCode.UNAVAILABLE and not error.reason
    return False
