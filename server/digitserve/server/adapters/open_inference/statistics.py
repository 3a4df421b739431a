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
        last: when the last one was answered, in seconds since the epoch.
    """

    calls: int = 0
    images: int = 0
    total_s: float = 0.0
    wait_s: float = 0.0
    model_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    last: float = 0.0

    def answered(self, turn: Turn, begun: float, entered: float) -> None:
        """Counts a call: when it began, and when it asked for a turn, by the monotonic clock."""
        self.calls += 1
        self.images += len(turn.answer.probabilities)
        self.total_s += time.monotonic() - begun
        self.wait_s += turn.started - entered
        self.model_s += turn.model_s
        self.last = time.time()

    def told(self) -> dict[str, object]:
        """The fields of a ModelStatistics."""
        rest_s = max(0.0, self.total_s - self.wait_s - self.model_s)
        return {
            "last_inference": int(self.last * 1000),
            "inference_count": self.images,
            "execution_count": self.calls,
            "inference_stats": {
                "success": _duration(self.calls, self.total_s),
                "fail": _duration(self.failed, self.failed_s),
                "queue": _duration(self.calls, self.wait_s),
                "compute_input": _duration(self.calls, rest_s),
                "compute_infer": _duration(self.calls, self.model_s),
                "compute_output": _duration(self.calls, 0.0),
            },
        }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * _NS)}
