"""The gate set: 500 drawn digits that every version is asked about before it answers anybody.

It ships with the server, which draws nothing itself and cannot count on a data set at hand:

    server/digitserve/server/versions/gate.npz    images: uint8[500, 28, 28]
                                                  labels: uint8[500], fifty of each digit

`python -m digitserve.trainer.drawn GATE.npz` writes it, the same bytes every time.
"""

import io
from pathlib import Path

import numpy as np

from digitserve.trainer.drawn import Images, Labels, drawn_digits

_OF_EACH = 50
_SEED = 1998  # nobody else's: what opens the gate was neither sample, golden answer nor check


def gate_digits() -> tuple[Images, Labels]:
    """The same five hundred digits for every network."""
    return drawn_digits(_OF_EACH, _SEED)


def write_gate(path: Path) -> None:
    """Write the gate set to `path`."""
    images, labels = gate_digits()
    stream = io.BytesIO()
    np.savez_compressed(stream, images=images, labels=labels)
    path.write_bytes(stream.getvalue())
