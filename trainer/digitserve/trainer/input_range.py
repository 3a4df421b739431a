"""Does a network of unknown making want pixels 0..255 or 0..1?  And if that is wrong, who notices?

A notebook divides by 255 before training, and the saved network does not remember.  Fed the
wrong range it still answers, so three things are looked at, with drawn digits:

    share      it reads fewer than 80 % of the golden digits
    flatness   it reads them, yet is hardly sure of any: it is fed 255 times too little
    certainty  it reads them, yet is far surer of its mistakes than with 0..1: 255 times too much

The last two are not fussiness.  A network of ReLUs trained on 0..1 and fed 0..255 still read
99.4 % of 500 drawn digits (2026-11-22): scaling the input hardly moves the largest output, it
only takes every doubt away.  So certainty is judged on digits moved off the middle, which
networks read badly: the wrong range cost 4.5 to 6.0 times the loss there for four of five
kinds of network; the fifth (tanh) saturates, and answers nearly alike in both ranges.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.backend import keras
from digitserve.trainer.drawn import Images, Labels, drawn_digits
from digitserve.trainer.errors import ModelError
from digitserve.trainer.evaluation import Evaluation, evaluate
from digitserve.trainer.golden import golden_digits
from digitserve.trainer.networks import Model

Predict = Callable[[Images], NDArray[np.float32]]

_LEAST_SHARE = 0.8
_FLATTEST = 0.3  # how far certainty may lag behind the share; label smoothing of 0.1 lags 0.1
_SUREST = 2.0  # how many times the other range's loss
_AS_WELL = 0.01  # how much less the other range may read, to be as good an explanation
_MOVED = 2  # pixels
_DRAWN, _SEED = 20, 255  # of each digit


class InputRange(StrEnum):
    """What a network wants its pixels to be."""

    BYTES = "0..255"
    UNIT = "0..1"


def read_from(model: Model) -> InputRange | None:
    """Tell the range from a Rescaling layer near the input; None if there is none."""
    for layer in _layers(model):
        if isinstance(layer, keras.layers.Rescaling):
            return InputRange.BYTES if np.max(np.abs(layer.scale)) < 1 else InputRange.UNIT
        if layer.weights:
            return None
    return None


def check(source: Path, network: Mapping[InputRange, Predict], wanted: InputRange) -> None:
    """Refuse a network that shows signs of being fed the wrong range.

    Args:
        source: the network's file, for complaints.
        network: how to ask it about pixels 0..255, scaled for either range.
        wanted: the range that is believed to be right.
    """
    golden = _asked(network[wanted], *golden_digits())
    if golden.accuracy < _LEAST_SHARE:
        raise _refusal(
            source,
            wanted,
            f"at least {_LEAST_SHARE:.0%} of the drawn golden digits read right",
            f"{golden.accuracy:.0%}",
        )
    if _is_flat(golden):
        raise _refusal(
            source,
            wanted,
            "a network that is sure of what it reads",
            f"a mean certainty of {_certainty(golden):.0%} where {golden.accuracy:.0%} is right",
        )
    if wanted is InputRange.BYTES:
        _check_not_too_sure(source, network)


def _check_not_too_sure(source: Path, network: Mapping[InputRange, Predict]) -> None:
    images, labels = drawn_digits(_DRAWN, _SEED)
    bytes_, unit = network[InputRange.BYTES], network[InputRange.UNIT]
    plain, other = _asked(bytes_, images, labels), _asked(unit, images, labels)
    if other.accuracy < plain.accuracy - _AS_WELL or _is_flat(other):
        return  # 0..1 is no better explanation
    moved = np.roll(images, _MOVED, axis=2)
    loss, other_loss = _asked(bytes_, moved, labels).loss, _asked(unit, moved, labels).loss
    if other_loss * _SUREST < loss:
        raise _refusal(
            source,
            InputRange.BYTES,
            "a network that doubts what it reads wrong",
            f"a loss of {loss:.2f} on moved digits against {other_loss:.2f} with 0..1",
        )


def _asked(ask: Predict, images: Images, labels: Labels) -> Evaluation:
    return evaluate(ask(images), labels)


def _certainty(found: Evaluation) -> float:
    return float(found.probabilities.max(axis=1).mean())


def _is_flat(found: Evaluation) -> bool:
    return _certainty(found) < found.accuracy - _FLATTEST


def _refusal(source: Path, wanted: InputRange, expected: str, came: str) -> ModelError:
    return ModelError(
        f"{source}: expected {expected}, came {came}: {wanted} is likely the wrong input range, "
        "see --input-range"
    )


def _layers(model: Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
