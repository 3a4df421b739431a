"""Who may come in: so many images at once, and nobody who would only wait for nothing.

A unary call that does not fit, or whose turn would come too late, is refused at once: its caller
can go elsewhere, and is told when to come back.  A stream's next frame waits unread instead, first
come, first served, and HTTP/2 carries the pause to the sender.

Without the bound in time a queue is as long as memory allows: 16,384 images before an engine of
2 ms are half a minute, and every call would be computed for a caller who has left.
"""

import asyncio
import time
from math import inf

from digitserve.server.errors import RETRY_AFTER_S, QueueFull
from digitserve.server.pace import Foretold

# What is foretold may be wrong by a fifth, and an answer that comes too late is worse than none.
_SURE = 0.8
# Of the room, what streams leave to calls: who waits would else take each place as it is free.
_FOR_CALLS = 1 / 8
_SOONEST_S, _LATEST_S = 0.05, 5.0


class Admission:
    """Counts the images that are in.

    Attributes:
        images: how many.
        most: how many there may be.
        refused: calls that were, so far.
    """

    def __init__(self, images: int, wait_s: float) -> None:
        """Bounds what comes in.

        Args:
            images: how many at once; a message of more than that is let in alone.
            wait_s: seconds after which a call's turn must have come.
        """
        self.most = images
        self._most_of_streams = images - int(images * _FOR_CALLS)
        self._wait_s = wait_s
        self._gate = asyncio.Lock()
        self._room = asyncio.Event()
        self.images = self.refused = 0

    def check(self, images: int, foretold: Foretold, deadline: float | None) -> None:
        """Checks that a unary call may come in.

        Args:
            images: how many it has.
            foretold: how long it would wait.
            deadline: the instant at which its caller leaves.

        Raises:
            QueueFull: if it may not.
        """
        why = self._why_not(images, foretold, deadline)
        if why:
            self.refused += 1
            # In so many seconds what is before it is gone; 0: nobody knows.
            wait_s = foretold.start_s or self.images * foretold.image_s
            after_s = min(max(wait_s, _SOONEST_S), _LATEST_S) if wait_s else RETRY_AFTER_S
            raise QueueFull(why, after_s)

    def _why_not(self, images: int, foretold: Foretold, deadline: float | None) -> str:
        if not self._fits(images, self.most):
            return f"{self.images} of at most {self.most} images are in the queue"
        start_s, end_s, _ = foretold
        if not start_s:  # nobody is before it: whatever it takes, no other time is better
            return ""
        if start_s > self._wait_s * _SURE:
            return f"its turn would come in {start_s:.2f} s, at most {self._wait_s:g} s are waited"
        left_s = inf if deadline is None else deadline - time.monotonic()
        if end_s > left_s * _SURE:
            return f"it would take {end_s:.2f} s, the deadline is in {left_s:.2f} s"
        return ""

    def enter(self, images: int) -> None:
        """Lets a unary call's images in."""
        self.images += images

    def try_enter(self, images: int) -> bool:
        """Lets a stream's images in, if there is room and nobody waits for it."""
        if self._gate.locked() or not self._fits(images, self._most_of_streams):
            return False
        self.images += images
        return True

    async def wait_and_enter(self, images: int) -> None:
        """Lets a stream's images in, when there is room for them."""
        async with self._gate:
            while not self._fits(images, self._most_of_streams):
                self._room.clear()
                await self._room.wait()
        self.images += images

    def leave(self, images: int) -> None:
        """Lets images out."""
        self.images -= images
        self._room.set()

    def _fits(self, images: int, most: int) -> bool:
        return not self.images or self.images + images <= most
