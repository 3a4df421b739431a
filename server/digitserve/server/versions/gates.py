"""What a version must pass before it may be `stable`.

    bundle ─▶ checksums, form ─▶ golden answers ─▶ time an image ─▶ gate set ─▶ READY
                                                                                  │
                                      not worse than what is stable by a margin ◀─┘─▶ stable

All but the last is looked at where the version is loaded, outside of the serving path; the last is
the registry's, since it changes with what is stable.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitserve.server.engines import Engine
from digitserve.server.versions.bundle import Bundle, BundleError
from digitserve.server.versions.settings import Gates
from digitserve.server.versions.version import Findings

# Digits of the project's own drawing: `python -m digitserve.trainer.drawn` makes them.
_SHIPPED = Path(__file__).parent / "gate.npz"
# How far an engine on another machine may differ from what Keras said when the bundle was made.
_GOLDEN_TOLERANCE = 1e-4
_BATCH = 32
_ROUNDING = 1e-9


class GateSet(NamedTuple):
    """Labelled digits: uint8[N, 28, 28], and N labels."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.integer]


def check_golden_answers(bundle: Bundle, engine: Engine) -> None:
    """Compares the engine with what Keras said of the bundle's golden digits.

    Raises:
        BundleError: at the first that differs.
    """
    for at, golden in enumerate(bundle.manifest.golden_answers):
        image = np.frombuffer(golden.pixels, np.uint8).reshape(1, 28, 28)
        (got,), rejection = engine.predict(image)
        apart = float(np.abs(got - np.array(golden.probabilities, np.float32)).max())
        if rejection is not None:
            apart = max(apart, abs(float(rejection[0]) - golden.rejection))
        if not apart <= _GOLDEN_TOLERANCE:  # NaN is not
            raise BundleError(
                bundle.folder,
                f"golden answer {at} (a {golden.label}): {engine.name} does not say what Keras "
                f"said; they differ by {apart:.2g}",
            )


def check_time(bundle: Bundle, image_us: float, gates: Gates) -> None:
    """Compares what an image takes with the budget.

    Raises:
        BundleError: if it takes longer.
    """
    if image_us > gates.image_us:
        raise BundleError(
            bundle.folder,
            f"an image takes {image_us:.0f} microseconds, expected at most {gates.image_us:g}",
        )


def check_accuracy(bundle: Bundle, engine: Engine, gates: Gates) -> float:
    """Asks the engine about the gate set.

    Returns:
        The share that it reads right.

    Raises:
        BundleError: if that is less than the floor, or the gate set cannot be read.
    """
    images, labels = gate_set(gates.set or _SHIPPED)
    read = [
        engine.predict(images[at : at + _BATCH]).probabilities.argmax(axis=1)
        for at in range(0, len(images), _BATCH)
    ]
    accuracy = float((np.concatenate(read) == labels).mean())
    if accuracy < gates.accuracy:
        raise BundleError(
            bundle.folder,
            f"reads {accuracy:.2%} of the gate set's {len(labels)} digits right, expected at least "
            f"{gates.accuracy:.2%}",
        )
    return accuracy


def worse(found: Findings, stable: Findings, gates: Gates) -> str:
    """Why a version may not take the place of what is stable; nothing if it may.

    Only what was asked of both is compared: the gate set may have changed since.
    """
    if found.accuracy is None or stable.accuracy is None or found.gate_set != stable.gate_set:
        return ""
    if found.accuracy >= stable.accuracy - gates.margin - _ROUNDING:
        return ""
    return (
        f"reads {found.accuracy:.2%} of the gate set right, what is stable {stable.accuracy:.2%}; "
        f"expected at most {gates.margin:.2%} less"
    )


def name_of_set(gates: Gates) -> str:
    """What tells a gate set from others, and from itself when it is changed."""
    if gates.set is None:
        return ""
    stat = gates.set.stat()
    return f"{gates.set} {stat.st_size} {stat.st_mtime_ns}"


def gate_set(path: Path) -> GateSet:
    """Reads a gate set; nothing in it is unpickled.

    Raises:
        BundleError: naming what was expected and what came.
    """
    return _shipped() if path == _SHIPPED else _read(path)


@cache
def _shipped() -> GateSet:
    return _read(_SHIPPED)


def _read(path: Path) -> GateSet:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except KeyError:
        raise BundleError(path, "expected the arrays `images` and `labels`") from None
    except OSError as error:
        raise BundleError(path, f"cannot be read: {error.strerror or 'no .npz'}") from error
    except Exception as error:  # whatever NumPy, zipfile and zlib make of a file that is none
        raise BundleError(path, "is no .npz of labelled digits") from error
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise BundleError(
            path, f"expected images uint8[N, 28, 28], got {images.dtype}{list(images.shape)}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or not len(labels):
        raise BundleError(
            path, f"expected {len(images)} integer labels, got {labels.dtype}{list(labels.shape)}"
        )
    return GateSet(images, labels)
