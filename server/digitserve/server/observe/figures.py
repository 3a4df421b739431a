"""All that one process counts, and how it is told: names, meanings, labels.

A new figure is a family here, a row in `docs/observe.md` and a line in a test.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from digitserve.server.errors import QueueFull
from digitserve.server.observe.counted import CONFIDENCE, IMAGES, REJECTION, Answers, Calls, Frames
from digitserve.server.observe.family import (
    Distribution,
    Family,
    Snapshot,
    counter,
    gauge,
    histogram,
)
from digitserve.server.observe.histogram import SECONDS, Histogram
from digitserve.server.turns import Turns

# Versions whose figures are kept; of a server that swaps for years the oldest go.
_VERSIONS = 32
_AWAITED = (("call", QueueFull.reason), ("call", "INTERNAL"), ("frame", "INTERNAL"))


class Figures:
    """All that one process counts.

    Attributes:
        calls: by method.
        frames: of all streams.
        answers: by version.
        wait: how long unary calls waited for their turn.
        reasons: how often each reason of an error was said, of calls and of frames.
    """

    def __init__(self) -> None:
        """Starts with nothing."""
        self.calls: dict[str, Calls] = {}
        self.frames = Frames()
        self.answers: dict[int, Answers] = {}
        self.wait = Histogram(SECONDS)
        # Of these the first is to be seen: Prometheus sees no growth in what was not there.
        self.reasons: Counter[tuple[str, str]] = Counter(dict.fromkeys(_AWAITED, 0))

    def answers_of(self, number: int, turns: Turns) -> Answers:
        """Those of a version, which may be new."""
        answers = self.answers.get(number)
        if answers is None:
            while len(self.answers) >= _VERSIONS:
                del self.answers[next(iter(self.answers))]
            self.answers[number] = answers = Answers(turns)
        return answers

    def snapshot(self) -> Snapshot:
        """All of it, as it is now."""
        return [*self._of_calls(), *self._of_frames(), *self._of_answers()]

    def _of_calls(self) -> Snapshot:
        calls = self.calls.items()
        ends = [([name, code], n) for name, each in calls for code, n in each.codes.items()]
        unary = [([name], each.seconds.told()) for name, each in calls if each.seconds is not None]
        open_ = [([name], each.opened - each.closed) for name, each in calls if not each.seconds]
        reasons = [(list(key), n) for key, n in self.reasons.items()]
        return [
            counter("digitserve_calls", "Calls that ended.", ends, ("method", "code")),
            counter("digitserve_errors", "Calls, frames that failed.", reasons, ("of", "reason")),
            histogram(
                "digitserve_call_seconds",
                "From a unary call's message to its answer.",
                SECONDS,
                unary,
                ("method",),
            ),
            gauge("digitserve_open_streams", "Calls that stream.", open_, ("method",)),
            _seconds("call_wait", "Of a Predict, until its turn at the network.", self.wait),
        ]

    def _of_frames(self) -> Snapshot:
        frames = self.frames
        frames.fold()
        ends = [
            (["predicted", ""], frames.total.count),
            *((["failed", code], n) for code, n in frames.failed.items()),
            *((["skipped", reason], n) for reason, n in frames.skipped.items()),
            (["cancelled", ""], frames.cancelled),
        ]
        return [
            counter("digitserve_frames", "Frames that ended.", ends, ("outcome", "reason")),
            _seconds("frame", "From a frame read to its prediction sent.", frames.total),
            _seconds("frame_wait", "Of those, until its turn at the network.", frames.wait),
            _seconds("frame_write", "Of those, after its turn: order, sending.", frames.rest),
        ]

    def _of_answers(self) -> Snapshot:
        answers = [([str(number)], each) for number, each in self.answers.items()]
        for _, each in answers:
            each.fold()
        digits = [
            ([*version, str(digit)], n)
            for version, each in answers
            for digit, n in enumerate(each.digits.tolist())
        ]

        def spread(
            name: str, meaning: str, bounds: Sequence[float], of: Callable[[Answers], Distribution]
        ) -> Family:
            samples = [(version, of(each)) for version, each in answers]
            return histogram(f"digitserve_{name}", meaning, bounds, samples, ("version",))

        return [
            counter(
                "digitserve_predictions", "Images read as a digit.", digits, ("version", "digit")
            ),
            spread(
                "confidence", "Of predictions.", CONFIDENCE, lambda each: each.confidence.told()
            ),
            spread(
                "rejection",
                "Of predictions: 0 surely a digit, 1 surely none.",
                REJECTION,
                lambda each: each.rejection.told(),
            ),
            spread(
                "model_seconds",
                "In the network, for what went through it at once.",
                SECONDS,
                lambda each: each.model.told(),
            ),
            spread("batch_images", "Images at once in the network.", IMAGES, Answers.batches),
        ]


def _seconds(name: str, meaning: str, seen: Histogram) -> Family:
    return histogram(f"digitserve_{name}_seconds", meaning, SECONDS, [([], seen.told())])
