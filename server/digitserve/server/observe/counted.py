"""What is counted of calls, of frames and of answers, each by itself.

    a call ends ──────────▶ its seconds, its code
    a turn is over ───────▶ its answer, which says the rest once there are many
    a frame is written ───▶ its instants, or why it has no prediction

On the path of an image things are only put aside; they are looked at together, by the hundred, or
when they are asked for.  All of it belongs to the event loop's thread: no lock is taken.
"""

from array import array
from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from digitserve.server.engines import DIGITS
from digitserve.server.observe.family import Distribution
from digitserve.server.observe.histogram import PILE, SECONDS, Histogram
from digitserve.server.turns import Turn, Turns

OK: Final = "OK"

IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# Where it matters: a good network is nearly always sure.
CONFIDENCE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
REJECTION = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

# Images whose answers are put aside at most.
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
        self._pile = array("d")

    def predicted(self, received: float, turn: Turn, written: float) -> None:
        """Takes the instants of a frame that was classified."""
        self._pile.extend((received, turn.started, turn.model_s, written))
        if len(self._pile) >= 4 * PILE:
            self.fold()

    def fold(self) -> None:
        """Looks at what was put aside."""
        if not self._pile:
            return
        pile, self._pile = self._pile, array("d")
        received, started, model_s, written = np.frombuffer(pile).reshape(-1, 4).T
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
        self.model, self._batch = Histogram(SECONDS), Histogram(IMAGES)
        self._turns = turns
        self._probabilities: list[bytes] = []
        self._rejection: list[bytes] = []
        self._sizes: Counter[int] = Counter()
        self._piled = 0

    def see(self, turn: Turn, images: int, turns: Turns) -> None:
        """Takes a turn of so many images at `turns`."""
        if turns is not self._turns:  # the version was loaded anew, perhaps as another network
            self.fold()
            self._see_batches()
            self._turns = turns
        (probabilities, rejection), _, model_s = turn
        # Copies: NumPy has small arrays at hand for who returns them soon.
        self._probabilities.append(probabilities.tobytes())
        if rejection is not None:
            self._rejection.append(rejection.tobytes())
        self._sizes[images] += 1
        self.model.see(model_s)
        self._piled += images
        if len(self._probabilities) >= PILE or self._piled >= _PILED_IMAGES:
            self.fold()

    def fold(self) -> None:
        """Looks at what was put aside."""
        if not self._piled:
            return
        probabilities = _joined(self._probabilities).reshape(-1, DIGITS)
        digits = probabilities.argmax(axis=1)
        confidence = probabilities[np.arange(len(digits)), digits]
        self.digits += np.bincount(digits, minlength=DIGITS)
        self.confidence.see_all(confidence)
        self.rejection.see_all(_joined(self._rejection) if self._rejection else 1 - confidence)
        self._probabilities.clear()
        self._rejection.clear()
        self._piled = 0

    def batches(self) -> Distribution:
        """How many images the engine was given at once."""
        self._see_batches()
        return self._batch.told()

    def _see_batches(self) -> None:
        """A long message was cut into full turns and a rest."""
        for images, messages in self._sizes.items():
            full, rest = divmod(images, self._turns.images)
            self._batch.see_all(np.full(full * messages, self._turns.images))
            self._batch.see_all(np.full(messages if rest else 0, rest))
        self._sizes.clear()


def _joined(parts: list[bytes]) -> npt.NDArray[np.float32]:
    return np.frombuffer(b"".join(parts), np.float32)
