"""NumPy's `.npy`, read without NumPy: so the base install takes arrays that NumPy saved.

    \\x93NUMPY | version | length | {'descr': '<f4', 'fortran_order': False, 'shape': (9, 28, 28)}
    | data

Data in C order is read image by image.  In Fortran order an image's pixels lie scattered over the
whole file, which is then held in memory, up to a bound.
"""

import ast
import io
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from digitserve.client.images.files import IMAGE_BYTES, SIDE, Found, Unfit, numbered, records

MAGIC = b"\x93NUMPY"
_SHAPES = "[28, 28], [N, 28, 28] or [N, 784]"
_DTYPES = "uint8 of 0..255, or float32 or float64 of 0..1"
# As NumPy itself: a longer literal could keep `literal_eval` busy for long.
_HEADER_LIMIT = 10_000
# The most bytes of Fortran-ordered data that are held at once: MNIST's 60,000 images as float32.
_FORTRAN_LIMIT = 256 * 1024 * 1024
_HEADER_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_ITEM_BYTES = {"u1": 1, "f4": 4, "f8": 8}


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: str
    big_endian: bool
    fortran_order: bool
    count: int
    flat: bool


def read_npy(stream: io.BufferedIOBase) -> Iterator[Found]:
    """Yields the images of a `.npy` stream, reading each when it is asked for."""
    header = _header(stream)
    item = _ITEM_BYTES[header.dtype]
    size = header.count * IMAGE_BYTES * item
    if not header.fortran_order:
        images = records(stream, header.count, IMAGE_BYTES * item)
    elif size <= _FORTRAN_LIMIT:
        whole = b"".join(records(stream, header.count, IMAGE_BYTES * item))
        images = _gathered(whole, item, header)
    else:
        raise Unfit(f"{size} bytes in Fortran order", f"C order, or at most {_FORTRAN_LIMIT} bytes")
    yield from numbered(header.count, map(_converter(header), images))


def _header(stream: io.BufferedIOBase) -> _Header:
    start = stream.read(8)
    length_format = _HEADER_LENGTHS.get(start[6]) if len(start) == 8 else None
    if length_format is None:
        raise Unfit("an unknown version of the .npy format", "version 1, 2 or 3")
    size = struct.calcsize(length_format)
    try:
        (length,) = struct.unpack(length_format, stream.read(size))
        if length > _HEADER_LIMIT:
            raise Unfit(f"a .npy header of {length} bytes", f"at most {_HEADER_LIMIT}")
        fields = ast.literal_eval(stream.read(length).decode("utf-8").strip())
        descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except (
        struct.error,
        SyntaxError,
        TypeError,
        ValueError,
        KeyError,
        MemoryError,
        RecursionError,
    ) as error:
        raise Unfit("a broken .npy header", "what numpy.save writes") from error
    return _Header(*_dtype(descr), bool(fortran), *_count(shape))


def _dtype(descr: object) -> tuple[str, bool]:
    if not isinstance(descr, str) or descr[1:] not in _ITEM_BYTES or descr[0] not in "<>|=":
        raise Unfit(f"an array of dtype {descr!r}", _DTYPES)
    return descr[1:], descr[0] == ">" or (descr[0] == "=" and sys.byteorder == "big")


def _count(shape: object) -> tuple[int, bool]:
    """How many images an array of this shape holds, and whether its pixels are one flat axis."""
    if not isinstance(shape, tuple) or not all(type(axis) is int and axis >= 0 for axis in shape):
        raise Unfit("a broken .npy header", "what numpy.save writes")
    match tuple(axis for axis in shape if axis != 1):  # axes of length 1 say nothing
        case (28, 28):
            return 1, False
        case (784,):
            return 1, True
        case (int(count), 28, 28):
            return count, False
        case (int(count), 784):
            return count, True
    raise Unfit(f"an array of shape {list(shape)}", _SHAPES)


def _gathered(whole: bytes, item: int, header: _Header) -> Iterator[bytes]:
    """Yields the images of Fortran-ordered data, whose first axis runs fastest.

    Pixel (row, column) of image n is item n + count * (row + 28 * column); flat pixel p is item
    n + count * p.
    """
    view = memoryview(whole)
    items = view.cast("Q") if item == 8 else view.cast("I") if item == 4 else view
    for index in range(header.count):
        pixels = items[index :: header.count]
        rows = [pixels] if header.flat else [pixels[row::SIDE] for row in range(SIDE)]
        yield b"".join(row.tobytes() for row in rows)


def _converter(header: _Header) -> Callable[[bytes], bytes]:
    if header.dtype == "u1":
        return bytes
    typecode = "f" if header.dtype == "f4" else "d"
    swap = header.big_endian != (sys.byteorder == "big")

    def from_floats(data: bytes) -> bytes:
        values = array(typecode, data)
        if swap:
            values.byteswap()
        for index, value in enumerate(values):
            if not 0.0 <= value <= 1.0:
                where = f"row {index // SIDE}, column {index % SIDE}"
                raise Unfit(f"a pixel of {value:g} ({where})", _DTYPES)
        # As the server rounds: the product is a float32, and halves go to even.
        products = array("f", [255.0 * value for value in array("f", values)])
        return bytes(map(round, products))

    return from_floats
