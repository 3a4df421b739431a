"""Two bundles side by side: what their manifests say, and what they answer here and now.

Only the compiled networks are asked, as a server would; TensorFlow is not needed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import bundle, lite
from digitserve.trainer.drawn import Images, drawn_digits
from digitserve.trainer.evaluation import Evaluation, evaluate
from digitserve.v1 import manifest_pb2

_DRAWN, _SEED = 50, 0  # of each digit
_NONE = "-"

Row = tuple[str, str, str]


def compare(
    first: Path, second: Path, data: tuple[str, Images, NDArray[np.uint8]] | None
) -> list[Row]:
    """What is worth knowing before one takes the other's place, row by row.

    Args:
        first: a bundle.
        second: another.
        data: a name, images and labels to ask both about; by default 500 drawn digits.

    Raises:
        ModelError: if either is no bundle.
    """
    folders = first, second
    manifests = [bundle.read(folder) for folder in folders]
    name, images, labels = data or ("drawn digits", *drawn_digits(_DRAWN, _SEED))
    networks = [folder / bundle.COMPILED for folder in folders]
    found = [evaluate(lite.predict(network, images), labels) for network in networks]
    told = [dict(_told(manifest)) for manifest in manifests]
    here = [dict(_here(name, each, network)) for each, network in zip(found, networks, strict=True)]
    rows = [_row(label, *told) for label in dict.fromkeys((*told[0], *told[1]))]
    rows += [_row(label, *here) for label in here[0]]
    alike, only = _agreement(*found)
    return [*rows, (f"agree on {name}", alike, ""), ("right, and the other wrong", *only)]


def _told(manifest: manifest_pb2.ModelManifest) -> Iterator[tuple[str, str]]:
    training, evaluation = manifest.training, manifest.evaluation
    if manifest.HasField("training"):
        yield "recipe", f"{training.recipe}, seed {training.seed}, {training.epochs} epochs"
        yield "trained in", f"{training.seconds:.0f} s"
    yield "gives", "ten probabilities" + (" and rejection" if manifest.output.shape[1] > 10 else "")
    if manifest.HasField("evaluation"):
        yield f"accuracy, {evaluation.dataset}", f"{evaluation.accuracy:.2%}"
        if evaluation.HasField("calibration_error"):
            yield "calibration error", f"{evaluation.calibration_error:.2%}"
        if evaluation.HasField("false_rejection"):
            yield "digits rejected", f"{evaluation.false_rejection:.2%}"
        for share in evaluation.changed:
            yield share.name, f"{share.share:.2%}"
        for share in evaluation.rejected:
            yield f"rejected: {share.name}", f"{share.share:.1%}"


def _here(name: str, found: Evaluation, network: Path) -> Iterator[tuple[str, str]]:
    yield "compiled", f"{network.stat().st_size / 1e3:,.0f} kB"
    images, _ = drawn_digits(_DRAWN, _SEED)
    yield "time an image, here", f"{lite.microseconds(network, images):.0f} us"
    yield f"accuracy, {name}, here", f"{found.accuracy:.2%}"


def _row(label: str, first: dict[str, str], second: dict[str, str]) -> Row:
    return label, first.get(label, _NONE), second.get(label, _NONE)


def _agreement(first: Evaluation, second: Evaluation) -> tuple[str, tuple[str, str]]:
    right, other = (found.digits == found.labels for found in (first, second))
    alike = f"{np.mean(first.digits == second.digits):.2%}"
    return alike, (f"{np.sum(right & ~other)}", f"{np.sum(other & ~right)}")
