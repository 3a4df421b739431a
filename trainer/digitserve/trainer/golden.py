"""Golden answers: thirty drawn digits and what Keras said about them.

They travel in the manifest, so that a server can ask its engine the same on any machine,
with no data set at hand.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.drawn import Images, Labels, drawn_digits
from digitserve.v1 import manifest_pb2

_SEED = 28
_HANDS = 3


def golden_digits() -> tuple[Images, Labels]:
    """The same thirty digits for every network: three hands, 0 to 9 each."""
    return drawn_digits(_HANDS, _SEED)


def golden_answers(
    predict: Callable[[Images], NDArray[np.float32]],
) -> list[manifest_pb2.GoldenAnswer]:
    """Ask a network about the golden digits."""
    images, labels = golden_digits()
    return [
        manifest_pb2.GoldenAnswer(
            pixels=image.tobytes(),
            label=int(label),
            probabilities=map(float, answer[:10]),
            rejection=float(answer[10]) if len(answer) > 10 else None,
        )
        for image, label, answer in zip(images, labels, predict(images), strict=True)
    ]
