"""What the model is shown of a browser's picture.  The one place: the page only shows it again.

A drawing's ink is known, so that it is only scaled and centred, as `images` does with any picture;
on a photo the camera's finder looks for digits.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitserve.client.images.files import SIDE
from digitserve.client.images.ink import NoInk
from digitserve.client.images.normalise import centred
from digitserve.client.playground.wire import Flags, Sent

if TYPE_CHECKING:
    from digitserve.client.camera.finder import FoundDigit

# Of what is found on one photo, that much is read: noise can look like a page of writing.
MAX_FOUND = 64


def drawn(sent: Sent) -> bytes | None:
    """The 784 bytes of a drawing; None if there is no ink on it."""
    grey = _grey(sent)
    if not grey.any():
        return None
    if Flags.UNCENTRED in sent.flags:
        small = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX)
        image = small.tobytes()
    else:
        try:
            image = centred(grey.astype(np.float32) / np.float32(255))
        except NoInk:
            return None
    if Flags.NEGATIVE in sent.flags:
        image = bytes(255 - level for level in image)
    return image


def found(sent: Sent) -> "list[FoundDigit]":
    """The digits on a photo, in reading order, `MAX_FOUND` at most.  Takes some 25 ms.

    Raises:
        DigitServeError: if the extra `camera` is missing.
    """
    from digitserve.client.camera.finder import find_digits  # noqa: PLC0415 - an extra

    return find_digits(_grey(sent))[:MAX_FOUND]


def camera_missing() -> str:
    """Why there is no camera view; empty if there is."""
    try:
        import digitserve.client.camera.finder  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        return str(error)
    return ""


def _grey(sent: Sent) -> NDArray[np.uint8]:
    return np.frombuffer(sent.pixels, np.uint8).reshape(sent.height, sent.width)
