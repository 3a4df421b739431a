"""Any picture of digits -> 28x28 uint8, 0 = paper, 255 = ink.

    file ─▶ detect ─┬─▶ npy  npz  idx  pgm ──────────────────┬─▶ NamedImage, one at a time
                    └─▶ picture ─▶ ink ─▶ normalise (extra) ──┘

Arrays and 28x28 PGM are read by the base install, lazily and as they are.  Every other picture,
of any size, needs Pillow and NumPy (the extra `cli`) and is made MNIST-like.  What a file holds
is told by its content, never by its name.
"""

from digitserve.client.images.detect import read_images
from digitserve.client.images.files import ImageFileError, NamedImage

__all__ = ["ImageFileError", "NamedImage", "read_images"]
