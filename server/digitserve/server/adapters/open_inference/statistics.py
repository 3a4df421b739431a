"""What the model has done for this protocol's callers, in Triton's terms.

    success ns = from the request to its answer  =  input  +  queue  +  infer  +  output  +  rest

A request that never came as far as a queue, because it was wrong, counts as nothing, as there.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.adapters.open_inference.model import MODEL
from digitserve.server.turns import Turn
from digitserve.server.versions.version import Version

_NS = 1e9


class Batches:
    """Runs of the network with so many images."""

    __slots__ = ("count", "infer_s", "input_s", "output_s")

    def __init__(self) -> None:
        """Starts with none."""
        self.count = 0
        self.input_s = self.infer_s = self.output_s = 0.0

    def add(self, count: int, seconds: tuple[float, float, float], share: float) -> None:
        """Counts runs that took such a share of these seconds: input, infer, output."""
        self.count += count
        self.input_s += seconds[0] * share
        self.infer_s += seconds[1] * share
        self.output_s += seconds[2] * share


class Tally:
    """The requests to one version."""

    __slots__ = (
        "batches",
        "fail_s",
        "failed",
        "images",
        "last",
        "queue_s",
        "succeeded",
        "success_s",
    )

    def __init__(self) -> None:
        """Starts with none."""
        self.succeeded = self.failed = self.images = 0
        self.success_s = self.fail_s = self.queue_s = self.last = 0.0
        self.batches: defaultdict[int, Batches] = defaultdict(Batches)

    def succeed(
        self, images: int, turn: Turn, turn_images: int, instants: tuple[float, float, float]
    ) -> None:
        """Counts a request that was answered.

        Args:
            images: how many it had.
            turn: what came of them.
            turn_images: the most images of one run.
            instants: when it came, when it asked for a turn, and when the turn was over; it is
                answered now.
        """
        came, asked, over = instants
        now = self.last = time.monotonic()
        self.succeeded += 1
        self.images += images
        self.success_s += now - came
        self.queue_s += max(0.0, turn.started - asked)
        seconds = (asked - came, turn.model_s, now - over)
        if images <= turn_images:
            self.batches[images].add(1, seconds, 1.0)
            return
        full, rest = divmod(images, turn_images)
        self.batches[turn_images].add(full, seconds, full * turn_images / images)
        if rest:
            self.batches[rest].add(1, seconds, rest / images)

    def fail(self, came: float) -> None:
        """Counts a request that was not, and came at that instant."""
        self.failed += 1
        self.fail_s += time.monotonic() - came

    def told(self, version: str) -> Any:
        """As a ModelStatistics."""
        batches = sorted(self.batches.items())
        runs = sum(each.count for _, each in batches)
        told = message("ModelStatistics")(
            name=MODEL,
            version=version,
            inference_count=self.images,
            execution_count=runs,
            inference_stats={
                "success": _duration(self.succeeded, self.success_s),
                "fail": _duration(self.failed, self.fail_s),
                "queue": _duration(self.succeeded, self.queue_s),
                "compute_input": _duration(self.succeeded, sum(b.input_s for _, b in batches)),
                "compute_infer": _duration(self.succeeded, sum(b.infer_s for _, b in batches)),
                "compute_output": _duration(self.succeeded, sum(b.output_s for _, b in batches)),
                "cache_hit": {},
                "cache_miss": {},
            },
            batch_stats=[
                {
                    "batch_size": size,
                    "compute_input": _duration(each.count, each.input_s),
                    "compute_infer": _duration(each.count, each.infer_s),
                    "compute_output": _duration(each.count, each.output_s),
                }
                for size, each in batches
            ],
        )
        if self.last:
            told.last_inference = round((time.time() - time.monotonic() + self.last) * 1e3)
        return told


class Statistics:
    """The tallies of all versions."""

    def __init__(self) -> None:
        """Starts with none."""
        self._of: dict[int, Tally] = {}

    def of(self, version: Version) -> Tally:
        """A version's."""
        return self._of.get(version.number) or self._of.setdefault(version.number, Tally())

    def told(self, numbers: Iterable[int]) -> Any:
        """A ModelStatisticsResponse about these versions."""
        nothing = Tally()
        stats = [self._of.get(number, nothing).told(str(number)) for number in numbers]
        return message("ModelStatisticsResponse")(model_stats=stats)


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * _NS)}
