"""Pictures on their way: what the finder found on each, until its outcome comes.

    source ──▶ finder ──▶ one frame with all crops ──▶ … ──▶ outcome ──▶ vote ──▶ Seen, in order

A picture without a digit is not sent; it comes out, in its turn, with nothing on it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from digitserve.client import Frame, Outcome, Predicted
from digitserve.client.camera.boxes import Box, Reading
from digitserve.client.camera.finder import find_digits
from digitserve.client.camera.pictures import Picture
from digitserve.client.camera.vote import Vote
from digitserve.client.cli.names import frame_id


@dataclass(slots=True, eq=False)
class Seen:
    """A picture and what came of it.

    Attributes:
        picture: as the source gave it.
        boxes: where the finder found digits.
        taken: the instant at which the source gave it.
        readings: what was read; None until it is known.
        outcome: what the server said; None if there was nothing to ask.
        latency: seconds from the source to the answer.
    """

    picture: Picture
    boxes: list[Box]
    taken: float = field(default_factory=time.monotonic)
    readings: list[Reading] | None = None
    outcome: Outcome | None = None
    latency: float = 0.0


class Watching:
    """The pictures of one stream, between the source and the screen."""

    def __init__(self, pictures: Iterable[Picture], vote: Vote | None) -> None:
        """Watches `pictures`; with a vote, labels are steadied from one to the next."""
        self._pictures = pictures
        self._vote = vote
        self._line: deque[Seen] = deque()  # in the order of the source
        self._sent: dict[int, Seen] = {}  # by the frame's index in the stream
        self._count = 0

    def frames(self) -> Iterator[Frame]:
        """A frame for each picture with digits; read by the stream, in a thread of its own."""
        for picture in self._pictures:
            found = find_digits(picture.pixels)
            seen = Seen(picture, [digit.box for digit in found])
            if found:
                self._sent[self._count] = seen
                self._count += 1
            else:
                seen.readings = []
            self._line.append(seen)
            if found:
                images = np.stack([digit.image for digit in found])
                age = time.monotonic() - seen.taken
                yield Frame(images, frame_id=frame_id(picture.name), age=age)

    def settle(self, outcome: Outcome) -> Iterator[Seen]:
        """Enters an outcome; gives the pictures of which everything is known, in order."""
        seen = self._sent.pop(outcome.sequence)
        seen.outcome, seen.latency = outcome, time.monotonic() - seen.taken
        seen.readings = []
        if isinstance(outcome, Predicted):
            pairs = zip(seen.boxes, outcome.predictions, strict=True)
            seen.readings = [Reading(box, said.digit, said.confidence) for box, said in pairs]
        return self.known()

    def known(self) -> Iterator[Seen]:
        """Gives the pictures of which everything is known by now, in order."""
        while self._line and (readings := self._line[0].readings) is not None:
            seen = self._line.popleft()
            if self._vote is not None and isinstance(seen.outcome, Predicted):
                seen.readings = self._vote.update(readings)
            yield seen


def rate_of(clock: Callable[[], float] = time.monotonic) -> Callable[[], float]:
    """Counts pictures; each call is one, and tells how many a second there were lately."""
    lately: deque[float] = deque(maxlen=50)

    def count() -> float:
        lately.append(clock())
        took = lately[-1] - lately[0]
        return (len(lately) - 1) / took if took else 0.0

    return count
