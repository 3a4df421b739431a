"""Pictures -> a video file, by whichever codec the installed OpenCV brings along."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.errors import DigitServeError

# What the headless wheels encode without further libraries, by the file's suffix.
_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class VideoError(DigitServeError):
    """A video that cannot be written."""


class VideoWriter:
    """Writes a video file; the first picture decides its size, larger and smaller ones are fitted.

    with VideoWriter("out.mp4", rate=25) as video:
        video.write(picture)
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        """Names the file, which is made with the first picture.

        Args:
            path: `.mp4`, `.mov`, `.mkv` or `.avi`.
            rate: pictures a second when it is played.

        Raises:
            VideoError: if no codec is known for it, or its folder is missing.
        """
        self._path, self._rate = Path(path), rate
        if self._path.suffix.lower() not in _CODECS:
            raise VideoError(f"{path}: expected a name that ends in {', '.join(_CODECS)}")
        if not self._path.absolute().parent.is_dir():
            raise VideoError(f"{path}: no such folder")
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Appends a picture, uint8[H, W, 3] of blue, green, red."""
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._writer = self._begun()
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        self._writer.write(picture)

    def close(self) -> None:
        """Completes the file; without it, it cannot be played."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begun(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), codec, self._rate, self._size)
        if not writer.isOpened():
            raise VideoError(f"{self._path}: cannot be written")
        return writer


def write_video(path: str | Path, pictures: Iterable[NDArray[np.uint8]], rate: float = 25.0) -> int:
    """Writes all the pictures and returns how many there were."""
    count = 0
    with VideoWriter(path, rate) as video:
        for picture in pictures:
            video.write(picture)
            count += 1
    return count
