"""What a source yields and how it fails."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitserve.client.errors import DigitServeError


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a source.

    Attributes:
        name: where it comes from, and its number or its file: `desk.mp4[17]`.
        time: seconds; of a camera by the monotonic clock when it was taken, of a video since its
            beginning, of a folder 0.
        pixels: uint8[H, W, 3], blue, green, red.
    """

    name: str
    time: float
    pixels: NDArray[np.uint8]


class SourceError(DigitServeError):
    """A source that cannot be opened, holds no pictures, or broke off.

    Attributes:
        source: as it was named.
        reason: what is wrong.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason
