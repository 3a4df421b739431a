"""What became of the calls of this protocol, version by version, as Triton counts it."""

import time
from dataclasses import dataclass

from digitserve.server.turns import Turn

_NS = 1e9


@dataclass(slots=True)
class Tally:
    """The calls that one version answered.

    Attributes:
        calls: how many.
        images: in them.
        total_s: seconds from a call's message to its answer.
        wait_s: of those, for its turn.
        model_s: of those, in the network.
        failed: calls that were refused, or broke.
        failed_s: seconds in those.
        last: when the last one was answered, by the monotonic clock; 0: never.
    """

    calls: int = 0
    images: int = 0
    total_s: float = 0.0
    wait_s: float = 0.0
    model_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    last: float = 0.0

    def answered(self, turn: Turn, begun: float) -> None:
        """Counts a call that began at that instant of the monotonic clock."""
        self.last = time.monotonic()
        self.calls += 1
        self.images += len(turn.answer.probabilities)
        self.total_s += self.last - begun
        self.wait_s += turn.started - begun
        self.model_s += turn.model_s

    def told(self) -> dict[str, object]:
        """The fields of a ModelStatistics."""
        rest_s = max(0.0, self.total_s - self.wait_s - self.model_s)
        since_epoch_s = time.time() - time.monotonic() + self.last
        return {
            "last_inference": int(since_epoch_s * 1000) if self.last else 0,
            "inference_count": self.images,
            "execution_count": self.calls,
            "inference_stats": {
                "success": _duration(self.calls, self.total_s),
                "fail": _duration(self.failed, self.failed_s),
                "queue": _duration(self.calls, self.wait_s),
                "compute_input": _duration(self.calls, 0.0),
                "compute_infer": _duration(self.calls, self.model_s),
                "compute_output": _duration(self.calls, rest_s),
            },
        }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * _NS)}
