"""What is sent with each call, made before the run: the generator only picks the next one."""

from collections.abc import Sequence
from dataclasses import dataclass

from digitserve.client.types import Prediction

_SIDE = 28
_DIGITS = frozenset(range(10))


@dataclass(slots=True, eq=False)
class Batch:
    """The images of one call, and what is right to answer.

    Attributes:
        images: `uint8[count, 28, 28]`, without a copy for whoever sends it.
        count: how many.
        expected: the answers that are right, if answers are compared.
    """

    images: memoryview
    count: int
    expected: list[Prediction] | None = None

    def fault(self, predictions: Sequence[Prediction]) -> str:
        """What is wrong with an answer: a word for it, or nothing."""
        if len(predictions) != self.count:
            return "WRONG_COUNT"
        for each in predictions:
            if each.digit not in _DIGITS:
                return "WRONG_DIGIT"
        if self.expected is not None and self._differs(self.expected, predictions):
            return "WRONG_ANSWER"
        return ""

    @staticmethod
    def _differs(expected: Sequence[Prediction], predictions: Sequence[Prediction]) -> bool:
        # Another version may say something else; which versions answered is reported.
        return any(
            said != right and said.version == right.version
            for said, right in zip(predictions, expected, strict=True)
        )


def batches_of(
    images: Sequence[bytes], count: int, expected: Sequence[Prediction] | None = None
) -> list[Batch]:
    """Makes the batches of a run: `count` images each, every image in at least one.

    Args:
        images: 784 bytes each, at least one.
        count: images in a batch.
        expected: what is right to answer for each image; None: answers are not compared.
    """
    batches = []
    for first in range(0, len(images), count):
        chosen = [at % len(images) for at in range(first, first + count)]
        pixels = memoryview(b"".join(images[at] for at in chosen))
        right = [expected[at] for at in chosen] if expected is not None else None
        batches.append(Batch(pixels.cast("B", (count, _SIDE, _SIDE)), count, right))
    return batches
