"""A shadow: a version that is asked what the stable one was asked, compared, and never answers.

    stable ─▶ answer ─▶ caller
        └───▶ [ a short queue ] ─▶ shadow ─▶ the same digit?

What does not fit into the queue is not compared: a shadow may be slow, and holds up nobody.
"""

import asyncio
from contextlib import suppress

import numpy as np

from digitserve.server.codec import Images
from digitserve.server.engines import Answer
from digitserve.server.versions.version import Version

_QUEUE_TURNS = 64


class Shadow:
    """Asks one version after the others.

    Attributes:
        version: who is asked; None: nobody.
        share: of the turns, 0 to 1.
        tallies: for each version that was ever a shadow, how many images it was asked and for how
            many of them it agreed.
    """

    def __init__(self) -> None:
        self.version: Version | None = None
        self.share = 1.0
        self.tallies: dict[int, tuple[int, int]] = {}
        self._due = 0.0
        self._queue: asyncio.Queue[tuple[Version, Images, Answer]] = asyncio.Queue(_QUEUE_TURNS)

    def listen(self, images: Images, answer: Answer) -> None:
        """Takes note of what the stable version was asked and said."""
        self._due += self.share
        if self.version is None or self._due < 1 or self._queue.full():
            return
        self._due %= 1
        self._queue.put_nowait((self.version, images, answer))

    async def run(self) -> None:
        """Asks, for as long as it is not cancelled."""
        while True:
            version, images, answer = await self._queue.get()
            await asyncio.sleep(0)  # others first: a light network would never let go of the loop
            if version is not self.version:
                continue  # it was let go meanwhile
            agreed = 0
            with suppress(Exception):  # a shadow that breaks has not agreed; nobody waits for it
                agreed = await _agreed(version, images, answer)
            before = self.tallies.get(version.number, (0, 0))
            self.tallies[version.number] = before[0] + len(images), before[1] + agreed


async def _agreed(version: Version, images: Images, answer: Answer) -> int:
    """For how many images a version says the same digit."""
    turn = await version.turns.predict(lambda: images, "shadow", len(images))
    assert turn is not None  # there was something to do
    said, heard = (each.probabilities.argmax(axis=1) for each in (answer, turn.answer))
    return int(np.sum(said == heard))
