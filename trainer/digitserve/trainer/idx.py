"""The IDX format of the MNIST files: a magic number, the length of each axis, the bytes.

Only the format is known here: gzipped or not is decided by the content, a file is never
read further than its own header allows, and every complaint names the file.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.errors import DatasetError

MAX_IMAGES: Final = 1_000_000  # 784 MB; the largest relative of MNIST in use has 280,000
_GZIP = b"\x1f\x8b"
_UINT8 = 0x08
_KINDS = {1: "labels", 3: "images"}


def read(path: Path, axes: int) -> NDArray[np.uint8]:
    """Read an IDX file of `uint8` with so many axes: 3 for images, 1 for labels."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            return _parse(gzip.open(file) if packed else file, path, axes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as broken:
        raise DatasetError(
            f"{path}: expected a whole gzip file, came a damaged one: {broken}"
        ) from broken
    except OSError as unreadable:
        raise DatasetError(f"{path}: cannot be read: {unreadable.strerror}") from unreadable


def _parse(file: BinaryIO | gzip.GzipFile, path: Path, axes: int) -> NDArray[np.uint8]:
    shape = _shape(file.read(4 + 4 * axes), path, axes)
    size = int(np.prod(shape, dtype=np.int64))
    content = file.read(size + 1)
    if len(content) != size:
        came = "more" if len(content) > size else f"{len(content):,}: truncated"
        raise DatasetError(f"{path}: expected {size:,} bytes after the header, came {came}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(header: bytes, path: Path, axes: int) -> tuple[int, ...]:
    kind, magic = _KINDS[axes], bytes([0, 0, _UINT8, axes])
    if header[:4] != magic:
        other = next((_KINDS[n] for n in _KINDS if header[:4] == bytes([0, 0, _UINT8, n])), None)
        came = (
            f"IDX {other}" if other else f"a file that begins with {header[:4].hex() or 'nothing'}"
        )
        raise DatasetError(
            f"{path}: expected IDX {kind} (beginning with {magic.hex()}), came {came}"
        )
    if len(header) < 4 + 4 * axes:
        raise DatasetError(f"{path}: expected a header of {4 + 4 * axes} bytes, came {len(header)}")
    shape = struct.unpack(f">{axes}I", header[4:])
    if shape[0] > MAX_IMAGES:
        raise DatasetError(f"{path}: expected at most {MAX_IMAGES:,} {kind}, came {shape[0]:,}")
    if shape[1:] not in {(), (28, 28)}:
        raise DatasetError(f"{path}: expected images of 28x28, came {shape[1]}x{shape[2]}")
    return shape


def sha256(array: NDArray[np.uint8]) -> str:
    """The checksum of `array` in its IDX form, whatever it was read from."""
    header = bytes([0, 0, _UINT8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def write(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array` in its IDX form, gzipped if the name ends so."""
    header = bytes([0, 0, _UINT8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
