"""NumPy's `.npz`, a zip of `.npy` arrays: finds the one that holds the images."""

import io
import zipfile
from collections.abc import Iterator

from digitserve.client.images.files import Found, Unfit
from digitserve.client.images.npy import read_npy

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it, whose `zipfile` refuses LZMA by itself

    class LZMAError(Exception):  # type: ignore[no-redef]
        """Never raised."""


MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
#: What `zipfile` raises for a broken, an encrypted and an exotic archive.
BROKEN = (zipfile.BadZipFile, RuntimeError, NotImplementedError, UnicodeDecodeError, LZMAError)
# Keras publishes MNIST as x_train and x_test; the test images are the ones to ask about.
_PREFERRED = ("x_test", "x_train", "images", "arr_0")


def read_npz(stream: io.BufferedIOBase, key: str = "") -> Iterator[Found]:
    """Yields the images of the array `key`, or of the one that most likely holds them."""
    with zipfile.ZipFile(stream) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        chosen = _choose(keys, key)
        with archive.open(f"{chosen}.npy") as member:
            array = io.BufferedReader(member)  # type: ignore[type-var]  # a ZipExtFile is raw enough
            for suffix, pixels in read_npy(array):
                yield f":{chosen}{suffix}" if not key else suffix, pixels


def _choose(keys: list[str], key: str) -> str:
    if not keys:
        raise Unfit("a zip archive without .npy arrays", "what numpy.savez writes")
    wanted: tuple[str, ...] = (key,) if key else (*_PREFERRED, *(keys if len(keys) == 1 else ()))
    for name in wanted:
        if name in keys:
            return name
    held = f"arrays {', '.join(keys)}"
    if key:
        raise Unfit(held, f"one called {key}")
    raise Unfit(held, f"one of {', '.join(_PREFERRED)}, or a name after the file: FILE.npz:KEY")
