"""Pictures of no digit: what a network must know in order to say that there is none.

    training.py    what networks are trained on, and their rejection is calibrated with
    figure.py      what the figures are taken from: other seeds, and other laws of drawing

A network that rejects what it was shown has learnt by heart; only one that rejects what was
made in another way knows anything.  So the two modules share the pen (`drawn.py`) and no rule
of what is drawn with it.  Only NumPy is known here, and Matplotlib for its fonts.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

Maker = Callable[[int, Images, np.random.Generator], Images]
"""`(count, digits, rng)` -> `uint8[count, 28, 28]`; the digits are there to be misused."""

Kinds = Mapping[str, Maker]
