"""What is counted of calls, of frames and of answers, each by itself.

    a call ends ──────────▶ its seconds, its code
    a turn is over ───────▶ kept as it is: its answer says the rest, once there are many
    a frame is written ───▶ its instants, or why it has no prediction

On the path of an image things are only put aside; they are looked at together, by the hundred, or
when they are asked for.  All of it belongs to the event loop's thread: no lock is taken.
"""

from collections import Counter
from typing import Final

import numpy as np

from digitserve.server.engines import DIGITS, Answer
from digitserve.server.observe.histogram import PILE, SECONDS, Histogram
from digitserve.server.turns import Turn, Turns

OK: Final = "OK"

IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# Where it matters: a good network is nearly always sure.
CONFIDENCE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
REJECTION = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

# Turns of a version that are put aside at most: they hold memory.
_PILED_TURNS = 128
_PILED_IMAGES = 4096


class Calls:
    """The calls of one method.

    Attributes:
        seconds: how long they took; None of a method that streams: as long as its caller likes.
        opened: how many began, of a method that streams.
        closed: how many of those ended.
        failed: how many failed, by code.
    """

    def __init__(self, *, streams: bool) -> None:
        """Starts with none."""
        self.seconds = None if streams else Histogram(SECONDS)
        self.opened = self.closed = 0
        self.failed: Counter[str] = Counter()

    @property
    def codes(self) -> dict[str, int]:
        """How many ended, by code."""
        ended = self.closed if self.seconds is None else self.seconds.count
        return {OK: ended - self.failed.total(), **self.failed}


class Frames:
    """The frames of all streams.

    Attributes:
        failed: how many failed, by code.
        skipped: how many were skipped, by reason.
        cancelled: how many were read and never answered: their stream ended.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self.failed: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter({"superseded": 0, "expired": 0})
        self.cancelled = 0
        self.total, self.wait, self.rest = (Histogram(SECONDS) for _ in range(3))
        self._pile: list[float] = []

    def predicted(self, received: float, turn: Turn, written: float) -> None:
        """Takes the instants of a frame that was classified."""
        self._pile += (received, turn.started, turn.model_s, written)
        if len(self._pile) >= 4 * PILE:
            self.fold()

    def fold(self) -> None:
        """Looks at what was put aside."""
        if not self._pile:
            return
        received, started, model_s, written = np.array(self._pile).reshape(-1, 4).T
        self._pile.clear()
        total = written - received
        wait = np.maximum(started - received, 0.0)
        self.total.see_all(total)
        self.wait.see_all(wait)
        self.rest.see_all(np.maximum(total - wait - model_s, 0.0))


class Answers:
    """What one version answered."""

    def __init__(self, turns: Turns) -> None:
        """Starts with nothing."""
        self.digits = np.zeros(DIGITS, np.int64)
        self.confidence, self.rejection = Histogram(CONFIDENCE), Histogram(REJECTION)
        self.model, self.batch = Histogram(SECONDS), Histogram(IMAGES)
        self._turns = turns
        self._pile: list[Turn] = []
        self._images = 0

    def see(self, turn: Turn, images: int, turns: Turns) -> None:
        """Takes a turn of so many images at `turns`."""
        if turns is not self._turns:  # the version was loaded anew, perhaps as another network
            self.fold()
            self._turns = turns
        self._pile.append(turn)
        self._images += images
        if len(self._pile) >= _PILED_TURNS or self._images >= _PILED_IMAGES:
            self.fold()

    def fold(self) -> None:
        """Looks at what was put aside."""
        if not self._pile:
            return
        turns, self._pile, self._images = self._pile, [], 0
        answer = Answer.joined([turn.answer for turn in turns])
        digits = answer.probabilities.argmax(axis=1)
        confidence = answer.probabilities[np.arange(len(digits)), digits]
        self.digits += np.bincount(digits, minlength=DIGITS)
        self.confidence.see_all(confidence)
        self.rejection.see_all(1 - confidence if answer.rejection is None else answer.rejection)
        self.model.see_all(np.array([turn.model_s for turn in turns]))
        self.batch.see_all(np.array(self._batches(turns)))

    def _batches(self, turns: list[Turn]) -> list[int]:
        """The images of each engine call: a long message was cut into full turns and a rest."""
        most, batches = self._turns.images, []
        for turn in turns:
            full, rest = divmod(len(turn.answer.probabilities), most)
            batches += [most] * full + [rest] * (rest > 0)
        return batches
