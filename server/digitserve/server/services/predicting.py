"""The way of every unary prediction, whatever protocol it came by.

    version ─▶ room in the queue ─▶ the caller's account ─▶ a turn ─▶ what came of it is told

A protocol's handlers make images of its messages, and its messages of a turn; nothing else.
"""

import time

from digitserve.server.admission import Admission
from digitserve.server.codec import Images
from digitserve.server.errors import DeadlinePassed
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Call
from digitserve.server.services.known import Known
from digitserve.server.turns import Turn
from digitserve.server.versions.version import Version


class Predicting:
    """Runs images for a caller."""

    def __init__(self, admission: Admission, observer: Observer | None = None) -> None:
        """Lets in by `admission`; `observer`, if any, sees what came of each turn."""
        self._admission, self._observer = admission, observer

    async def predict(self, images: Images, version: Version, call: Call) -> Turn:
        """Waits for a turn, and takes it.

        Args:
            images: uint8[N, 28, 28], white on black.
            version: who answers.
            call: whose images they are.

        Raises:
            QueueFull: if they would wait too long.
            RateExceeded: if the caller may not ask for so many now.
            DeadlinePassed: if his deadline passed while they waited.
        """
        deadline = call.deadline()

        def prepare() -> Images:
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlinePassed
            return images

        count, caller = len(images), call.peer()
        admission, observer = self._admission, self._observer
        admission.check(count, version.turns.foretold(caller, count), deadline)
        if isinstance(call, Known):
            call.account.charge(count)
        admission.enter(count)
        entered = 0.0 if observer is None else time.monotonic()
        try:
            turn = await version.predict(prepare, caller, count)
        finally:
            admission.leave(count)
        assert turn is not None  # there is always something to do
        if observer is not None:
            observer.predicted(version, turn, count, turn.started - entered)
        return turn
