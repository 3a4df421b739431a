"""How long an image takes at an engine, of late: what a wait is foretold by."""

from typing import NamedTuple

# A turn counts for so much of the figure: it has followed a change after a few dozen.
_SHARE = 1 / 16
# A turn that takes longer than so many counts as if it took so many: a machine that stood still
# once is no slow engine, and one that has become slow is believed after a few turns.
_MOST = 4.0
# Where nothing is known, the best of so many turns counts: the very first ones also set things up.
_FIRST = 8


class Foretold(NamedTuple):
    """What a caller who asks now has to expect.

    Attributes:
        start_s: seconds until its first turn; 0: nobody is before it.
        end_s: seconds until its last turn is over.
        image_s: seconds that an image takes; 0: none has been seen yet.
    """

    start_s: float
    end_s: float
    image_s: float


class Pace:
    """What an image takes.

    Attributes:
        image_s: in seconds; 0 as long as none has been seen.
    """

    __slots__ = ("_first", "image_s")

    def __init__(self, image_s: float = 0.0) -> None:
        """Begins with what is known; 0: nothing."""
        self.image_s = image_s
        self._first = 0 if image_s else _FIRST

    def took(self, images: int, seconds: float) -> None:
        """A turn of so many images took so long."""
        each, seen = seconds / images, self.image_s
        if self._first:
            self._first -= 1
            self.image_s = min(each, seen or each)
        else:
            self.image_s = seen + (min(each, _MOST * seen) - seen) * _SHARE
