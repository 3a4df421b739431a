"""How many images may be in the server at once, over all callers.

A unary call that does not fit is refused at once: its caller can go elsewhere.  A stream's next
frame waits unread instead, first come, first served, and HTTP/2 carries the pause to the sender.
"""

import asyncio

from digitserve.server.errors import QueueFull


class Admission:
    """Counts the images that are in."""

    def __init__(self, images: int) -> None:
        """Lets so many in; a message of more than that is let in alone."""
        self.most = images
        self._gate = asyncio.Lock()
        self._room = asyncio.Event()
        self.images = 0

    def enter_or_refuse(self, images: int) -> None:
        """Lets a unary call's images in.

        Raises:
            QueueFull: if they do not fit.
        """
        if not self._fits(images):
            raise QueueFull(self.images, self.most)
        self.images += images

    def try_enter(self, images: int) -> bool:
        """Lets a stream's images in, if there is room and nobody waits for it."""
        if self._gate.locked() or not self._fits(images):
            return False
        self.images += images
        return True

    async def enter(self, images: int) -> None:
        """Lets a stream's images in, when there is room for them."""
        async with self._gate:
            while not self._fits(images):
                self._room.clear()
                await self._room.wait()
        self.images += images

    def leave(self, images: int) -> None:
        """Lets images out."""
        self.images -= images
        self._room.set()

    def _fits(self, images: int) -> bool:
        return not self.images or self.images + images <= self.most
