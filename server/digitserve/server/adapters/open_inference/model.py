"""The one model that the protocol sees: its name, its tensors, and how its versions are named."""

from typing import NamedTuple

from digitserve.server.codec import PIXELS, SIDE
from digitserve.server.engines import DIGITS

MODEL = "digits"
INPUT = "pixels"

# Bytes of a pixel.  Triton's metadata can tell one datatype: the first.
DATATYPES = {"UINT8": 1, "FP32": 4}


class Output(NamedTuple):
    """An output, as the metadata tells it.

    Attributes:
        name: its name.
        datatype: of its values.
        width: how many there are of each image.
    """

    name: str
    datatype: str
    width: int


# INT64, as argmax gives it in every framework; [N, 1], as Triton shapes one figure of each item.
OUTPUTS = (
    Output("probabilities", "FP32", DIGITS),
    Output("digit", "INT64", 1),
    Output("confidence", "FP32", 1),
    Output("rejection", "FP32", 1),
)

_LINES, _LINES_GREY, _FLAT = (SIDE, SIDE), (SIDE, SIDE, 1), (PIXELS,)


def images_of(shape: tuple[int, ...]) -> int | None:
    """How many images have this shape; None: it is none of images."""
    if shape == _LINES:
        return 1
    if shape[1:] in {_LINES, _LINES_GREY, _FLAT} and shape[0] > 0:
        return shape[0]
    return None
