"""How long an image takes at an engine, of late: what a wait is foretold by."""

from typing import NamedTuple

# A turn counts for so much of the figure: it has followed a change after a few dozen.
_SHARE = 1 / 16
# A turn that takes longer than so many counts as if it took so many: a machine that stood still
# once is no slow engine, and one that has become slow is believed after a few turns.
_MOST = 4.0


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

    __slots__ = ("image_s",)

    def __init__(self, image_s: float = 0.0) -> None:
        """Begins with what is known."""
        self.image_s = image_s

    def took(self, images: int, seconds: float) -> None:
        """A turn of so many images took so long."""
        each, seen = seconds / images, self.image_s
        if seen:
            self.image_s = seen + (min(each, _MOST * seen) - seen) * _SHARE
        else:
            self.image_s = each
