"""The hook: what the services know of whoever watches them, which is one object.

    observed(service) ──▶ a call begins, ends ──┐
    services/digits   ──▶ a turn is over ───────┼──▶ Observer ──▶ figures
    services/streams  ──▶ a frame is written ───┘        └──────▶ tellers: log, traces

Nobody watching is None, and costs that look.  Figures cost a microsecond a call; only tellers have
the facts of a call gathered, and only of those that they want.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from digitserve.server.observe.facts import CURRENT, Facts
from digitserve.server.observe.figures import Figures
from digitserve.server.services import Call
from digitserve.server.services.window import Frame
from digitserve.server.statuses import code_of, reason_of
from digitserve.server.turns import Turn
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2


class Ending(NamedTuple):
    """How a frame ended.

    Attributes:
        outcome: predicted, failed or skipped.
        reason: the code of its failure, or why it was skipped.
    """

    outcome: str
    reason: str


_PREDICTED = Ending("predicted", "")
_SKIPPED = {
    digits_pb2.Skip.REASON_SUPERSEDED: Ending("skipped", "superseded"),
    digits_pb2.Skip.REASON_EXPIRED: Ending("skipped", "expired"),
}


class Teller(Protocol):
    """Tells of calls, one by one."""

    def wants(self, call: Call) -> bool:
        """Whether it tells of a call however that ends; of a failure it hears anyway."""
        ...

    def began(self, facts: Facts) -> None:
        """A call began that it wants."""

    def wrote(self, facts: Facts, frame: Frame, ending: Ending, written: float) -> None:
        """A frame of a stream was answered, at that instant."""

    def ended(self, facts: Facts) -> None:
        """A call is over."""

    def close(self) -> None:
        """Nothing more comes."""


class Observer:
    """Watches the calls of one process.  Belongs to its event loop.

    Attributes:
        figures: what it has counted.
        tellers: who is told of each call.
    """

    def __init__(self, tellers: Sequence[Teller] = ()) -> None:
        """Has counted nothing yet."""
        self.figures = Figures()
        self._answers, self._wait = self.figures.answers, self.figures.wait
        self.tellers = tellers

    def predicted(
        self, version: Version, turn: Turn, images: int, wait_s: float | None = None
    ) -> None:
        """A turn is over; of a unary call: it waited so many seconds for it."""
        number, turns = version.number, version.turns
        answers = self._answers.get(number) or self.figures.answers_of(number, turns)
        answers.see(turn, images, turns)
        if wait_s is not None:
            self._wait.see(wait_s)
        if self.tellers and (facts := CURRENT.get()) is not None:
            facts.images += images
            facts.version = number
            facts.wait_s = wait_s or 0.0
            facts.model_s += turn.model_s

    def stream(self) -> "StreamWatch":
        """Watches the frames of the stream that runs here."""
        return StreamWatch(self, CURRENT.get() if self.tellers else None)

    def close(self) -> None:
        """Lets the tellers tell what is left."""
        for teller in self.tellers:
            teller.close()


class StreamWatch:
    """The frames of one stream."""

    __slots__ = ("_answered", "_facts", "_figures", "_reasons", "_tellers")

    def __init__(self, observer: Observer, facts: Facts | None) -> None:
        self._figures = observer.figures.frames
        self._reasons = observer.figures.reasons
        self._tellers = observer.tellers
        self._facts = facts
        self._answered = 0

    def wrote(self, frame: Frame) -> None:
        """A frame's outcome was sent."""
        written, cause = time.monotonic(), frame.cause
        self._answered += 1
        if type(cause) is Turn:
            ending = _PREDICTED
            self._figures.predicted(frame.received, cause, written)
        elif isinstance(cause, Exception):
            ending = Ending("failed", code_of(cause))
            self._figures.failed[ending.reason] += 1
            self._reasons["frame", reason_of(cause)] += 1
        else:
            ending = _SKIPPED[cause]  # type: ignore[index]  # what is left
            self._figures.skipped[ending.reason] += 1
        if self._facts is not None:
            self._count(ending.outcome, 1)
            for teller in self._tellers:
                teller.wrote(self._facts, frame, ending, written)

    def closed(self, frames: int) -> None:
        """The stream is over; so many frames were read of it."""
        cancelled = frames - self._answered
        self._figures.cancelled += cancelled
        if self._facts is not None and cancelled:
            self._count("cancelled", cancelled)

    def _count(self, outcome: str, frames: int) -> None:
        assert self._facts is not None
        self._facts.frames[outcome] = self._facts.frames.get(outcome, 0) + frames
