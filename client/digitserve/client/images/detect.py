"""The one way in: opens a file, tells by its first bytes what it is, and names what goes wrong.

Knows every reader; imports the one for pictures only when a file needs it, because that one
needs Pillow and NumPy.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import TypeAlias

from digitserve.client.images import idx, npy, npz, pgm
from digitserve.client.images.files import Found, ImageFileError, NamedImage, Unfit

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 16
# A pipe is held whole: MNIST's 60,000 images as float32 are less.
_PIPE_LIMIT = 256 * 1024 * 1024
_EXTRA = "pip install 'digitserve[cli]'"
_Seekable: TypeAlias = io.BufferedReader | io.BytesIO


def read_images(path: str | os.PathLike[str]) -> Iterator[NamedImage]:
    """Yields every image of a file, each read when it is asked for.

    Args:
        path: a `.npy`, `.npz`, IDX (gzipped or not) or PGM file, or any picture that Pillow opens.
            `FILE.npz:KEY` names an array of an archive.

    Raises:
        ImageFileError: the file is missing, is no image, or breaks off; what came before is
            still good.
    """
    name = os.fspath(path)
    file, key = _split(name)
    try:
        with open(file, "rb") as stream:
            for suffix, pixels in _images(stream if stream.seekable() else _whole(stream), key):
                yield NamedImage(name + suffix, pixels)
    except Unfit as error:
        raise ImageFileError(name, error.came, error.expected) from error
    except (EOFError, zlib.error) as error:
        raise ImageFileError(name, "its compressed data are cut off or broken") from error
    except npz.BROKEN as error:
        raise ImageFileError(name, f"cannot be unpacked: {error}") from error
    except OSError as error:
        raise ImageFileError(name, error.strerror or str(error)) from error


def _split(name: str) -> tuple[str, str]:
    """Separates `FILE.npz:KEY`; a file that really has such a name comes first."""
    file, colon, key = name.rpartition(":")
    if colon and key and not os.path.exists(name) and os.path.isfile(file):
        return file, key
    return name, ""


def _whole(pipe: io.BufferedReader) -> io.BytesIO:
    """What a pipe gives, to go back and forth in, as archives and pictures need."""
    content = pipe.read(_PIPE_LIMIT + 1)
    if len(content) > _PIPE_LIMIT:
        raise Unfit(f"more than {_PIPE_LIMIT} bytes from a pipe", "a file, or fewer")
    return io.BytesIO(content)


def _images(stream: _Seekable, key: str) -> Iterator[Found]:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if key and not head.startswith(npz.MAGICS):
        raise Unfit("not a .npz archive", f"one that holds {key!r}")
    if head.startswith(_GZIP_MAGIC):
        return _images(io.BufferedReader(gzip.GzipFile(fileobj=stream)), key)
    if head.startswith(npy.MAGIC):
        return npy.read_npy(stream)
    if head.startswith(npz.MAGICS):
        return npz.read_npz(stream, key)
    if idx.is_idx(head):
        return idx.read_idx(stream)
    if head.startswith(pgm.MAGICS):
        header = pgm.read_header(stream)
        if header.is_image:
            return pgm.read_pgm(stream, header)
        stream.seek(0)
    return _picture(stream, head)


def _picture(stream: _Seekable, head: bytes) -> Iterator[Found]:
    if not head:
        raise Unfit("an empty file", "a picture, .npy, .npz, IDX or PGM")
    try:
        from digitserve.client.images.picture import read_picture  # noqa: PLC0415
    except ModuleNotFoundError as error:
        came = f"not .npy, .npz, IDX or 28x28 PGM, and other pictures need {_EXTRA}"
        raise Unfit(came) from error
    yield "", read_picture(stream)
