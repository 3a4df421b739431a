"""Whose turn it is at an engine: one caller's images, at most `images`, then another's.

    caller ──▶ prepare ──▶ engine        what is computed is decided when the turn has come, so
    caller ──▶ …waits…                   that nothing cancelled or expired is, and all that has
    caller ──▶ …waits…                   arrived by then goes together

A light network runs at once, on the event loop: a hand-over would cost more than the call.  A heavy
one runs on threads, each with an engine of its own, so that reading goes on.  A long message is cut
into turns, with the others' in between.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from digitserve.server.codec import Images
from digitserve.server.engines import Answer, Engine
from digitserve.server.fairness import FairLock
from digitserve.server.pace import Foretold, Pace


class Turn(NamedTuple):
    """What came of a turn, or of the turns of one long message.

    Attributes:
        answer: of every image.
        started: the instant, by the monotonic clock, at which the first turn came.
        model_s: seconds in the engine.
    """

    answer: Answer
    started: float
    model_s: float


Prepare = Callable[[], Images | None]

# A turn of at most such a part of a full one is short: one more of those delays nobody much.
_SHORT = 8

_AT_ONCE = Foretold(0.0, 0.0, 0.0)


class Turns:
    """A network, and the queue before it.

    Attributes:
        engine: one of its engines, all alike.
        images: the most images of one turn.
        inline: whether a turn runs on the event loop, and nobody waits for one.
    """

    def __init__(
        self, engines: Sequence[Engine], *, inline: bool, images: int, image_s: float = 0.0
    ) -> None:
        """Gives turns at `engines`.

        Args:
            engines: copies of one; each is called by one turn at a time.  Inline needs just one.
            inline: whether it is light enough to run on the event loop.
            images: the most images of one turn.
            image_s: seconds that an image takes, as far as is known; 0: not at all.
        """
        self.engine = engines[0]
        self.images = images
        self.inline = inline
        self._threads = None if inline else _Threads(engines, images, image_s)

    def foretold(self, caller: Hashable, images: int) -> Foretold:
        """How long a caller would wait who asked for so many images now."""
        if self._threads is None:
            return _AT_ONCE
        return self._threads.foretold(caller, images, self.images)

    async def predict(self, prepare: Prepare, caller: Hashable, waiting: int) -> Turn | None:
        """Waits for a turn and classifies what `prepare` gives then.

        Args:
            prepare: called when the turn has come; gives uint8[N, 28, 28], or None if there is
                nothing left to do.
            caller: whose turn it is to be.
            waiting: how many images `prepare` would give now.

        Returns:
            What came of it; None if there was nothing to do.
        """
        if self._threads is None:
            started = time.monotonic()
            images = prepare()
            turn = None if images is None else _run(self.engine, images[: self.images], started)
            if images is None or turn is None or len(images) <= self.images:
                return turn
            return await self._rest(images, turn, caller)
        with self._threads.kept():
            fits = min(waiting, self.images)
            images, turn = await self._threads.run(prepare, caller, fits, self.images)
            if images is None or turn is None or len(images) <= self.images:
                return turn
            return await self._rest(images, turn, caller)

    async def _rest(self, images: Images, first: Turn, caller: Hashable) -> Turn:
        """Takes the further turns of a long message."""
        turns = [first]
        for start in range(self.images, len(images), self.images):
            part = images[start : start + self.images]
            if self._threads is None:
                await asyncio.sleep(0)  # nobody waits for a turn, but they wait
                turns.append(_run(self.engine, part, time.monotonic()))
            else:
                _, turn = await self._threads.run(lambda part=part: part, caller, len(part))  # type: ignore[misc]
                assert turn is not None  # there was something to do
                turns.append(turn)
        answer = Answer.joined([each.answer for each in turns])
        return Turn(answer, first.started, sum(each.model_s for each in turns))

    def close(self) -> None:
        """Lets go of the threads, as soon as what has begun is done."""
        if self._threads is not None:
            self._threads.close()


class _Threads:
    """A thread for each engine, and whose turn it is at them."""

    def __init__(self, engines: Sequence[Engine], images: int, image_s: float) -> None:
        """A full turn has so many images, each takes about so long."""
        self._lock = FairLock(len(engines), short=images // _SHORT)
        self._own = threading.local()
        unclaimed = list(engines)

        def claim() -> None:
            self._own.engine, self._own.ended = unclaimed.pop(), 0.0

        self._threads = ThreadPoolExecutor(len(engines), "engine", claim)
        self._users = 0
        self._closing = False
        self._pace = Pace(image_s)

    def foretold(self, caller: Hashable, images: int, most: int) -> Foretold:
        """See `Turns.foretold`; a turn holds `most` images."""
        first, each_s = min(images, most), self._pace.image_s / self._lock.places
        start_s = self._lock.ahead(caller, first) * each_s
        # Each further turn of a long message waits as the first one does.
        end_s = math.ceil(images / most) * start_s + images * self._pace.image_s
        return Foretold(start_s, end_s, each_s)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the threads while the block runs, also when they are closed meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._closing and not self._users:
                self._threads.shutdown(wait=False)

    async def run(
        self, prepare: Prepare, caller: Hashable, fits: int, most: int | None = None
    ) -> tuple[Images | None, Turn | None]:
        """Waits for a turn of `fits` images; gives what `prepare` gave, and what came of `most`."""
        asked = time.monotonic()
        async with self._lock.turn(caller, fits):
            # The turn has come: what a frame waits for a thread to wake up is not its waiting.
            started = time.monotonic()
            images = prepare()
            if images is None:
                return None, None
            loop = asyncio.get_running_loop()
            turn, took_s = await loop.run_in_executor(
                self._threads, self._run, images[:most], asked, started
            )
            self._pace.took(len(turn.answer.probabilities), took_s)
            return images, turn

    def _run(self, images: Images, asked: float, started: float) -> tuple[Turn, float]:
        """In a thread: gives the turn, and the seconds since the one before, if it had to wait."""
        own = self._own
        turn = _run(own.engine, images, started)
        before, own.ended = own.ended, time.monotonic()
        return turn, own.ended - max(asked, before)

    def close(self) -> None:
        self._closing = True
        if not self._users:
            self._threads.shutdown(wait=False)


def _run(engine: Engine, images: Images, started: float) -> Turn:
    begun = time.monotonic()
    answer = engine.predict(images)
    return Turn(answer, started, time.monotonic() - begun)
