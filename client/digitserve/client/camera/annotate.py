"""What was found, drawn on the picture: a box, a digit and a confidence each; rate and latency.

Green is sure, amber is doubtful, red is a guess.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.boxes import Reading

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SURE, _DOUBTFUL = 0.9, 0.6
_GREEN, _AMBER, _RED = (60, 160, 40), (0, 150, 230), (50, 50, 220)  # blue, green, red
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
# Letters are drawn for pictures of this height, and grow with larger ones.
_USUAL_HEIGHT = 480


def annotate(
    picture: NDArray[np.uint8],
    readings: Sequence[Reading],
    *,
    rate: float | None = None,
    latency: float | None = None,
) -> NDArray[np.uint8]:
    """Returns a copy of a picture with what was read on it.

    Args:
        picture: uint8[H, W] or uint8[H, W, 3].
        readings: what to draw.
        rate: pictures a second.
        latency: seconds from the picture to its answer.
    """
    grey = picture.ndim == 2
    drawn = np.array(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if grey else picture, np.uint8)
    size = max(1.0, drawn.shape[0] / _USUAL_HEIGHT)
    for reading in readings:
        _draw(drawn, reading, size)
    status = [f"{len(readings)} digit{'' if len(readings) == 1 else 's'}"]
    status += [] if rate is None else [f"{rate:.1f} pictures/s"]
    status += [] if latency is None else [f"{1e3 * latency:.1f} ms"]
    _write(drawn, "   ".join(status), (0, drawn.shape[0]), _BLACK, size)
    return drawn


def _draw(drawn: NDArray[np.uint8], reading: Reading, size: float) -> None:
    box, thick = reading.box, round(2 * size)
    colour = _colour(reading.confidence)
    margin = thick + 1  # the ink itself stays to be seen
    corner = (box.x - margin, box.y - margin)
    cv2.rectangle(drawn, corner, (box.right + margin, box.bottom + margin), colour, thick)
    text = f"{reading.digit} {reading.confidence:.0%}"
    _write(drawn, text, (corner[0] - thick // 2, corner[1]), colour, size)


def _colour(confidence: float) -> tuple[int, int, int]:
    if confidence >= _SURE:
        return _GREEN
    return _AMBER if confidence >= _DOUBTFUL else _RED


def _write(
    drawn: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int],
    size: float,
) -> None:
    """Writes white on a bar of the colour, whose lower left corner is `at`, inside the picture."""
    scale, thick = 0.45 * size, max(1, round(size))
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thick)
    high, wide = height + below + thick, width + 2 * below
    x = min(max(at[0], 0), max(drawn.shape[1] - wide, 0))
    y = min(max(at[1], high), drawn.shape[0])
    cv2.rectangle(drawn, (x, y - high), (x + wide, y), colour, cv2.FILLED)
    cv2.putText(drawn, text, (x + below, y - below), _FONT, scale, _WHITE, thick, cv2.LINE_AA)
