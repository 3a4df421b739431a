"""Whatever pictures come from -> `Picture`s, one at a time, or one clear error.

    "0"            a webcam, by its index        "clip.mp4"   a video file
    "rtsp://..."   any URL that OpenCV opens     "scans/"     a folder of pictures, or one picture

A file's end is an end.  A camera has none: if it gives no more, that is an error, after all that
it gave.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.pictures import Picture, SourceError

logging = cv2.utils.logging

# How long a URL may take to open, and to give its next picture, in milliseconds.
_PATIENCE = 10_000
# A container's count of frames may be a guess; less than this share of it is a file cut short.
_LEAST_SHARE = 0.9

_CLOSED = {
    "webcam": "no such webcam, or it is in use, or this user may not open it",
    "stream": "cannot be opened: nothing there, or nothing that is a video",
    "video": "cannot be opened: no video, one without frames, or one that was cut off",
}


def open_source(spec: str, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Picture]:
    """Opens a source at once, and yields its pictures as they are asked for.

    Args:
        spec: a webcam's index, a URL, a video, a picture, or a folder of pictures.
        clock: tells when a camera's picture was taken.

    Raises:
        SourceError: if it cannot be opened; or, while it is read, if it breaks off.
    """
    path = Path(spec)
    if spec.isdecimal():
        return _camera(spec, _opened(spec, "webcam", int(spec)), clock)
    if "://" in spec:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE]
        return _camera(spec, _opened(spec, "stream", spec, cv2.CAP_FFMPEG, limits), clock)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise SourceError(spec, "no such webcam, URL, video, picture or folder")
    if cv2.haveImageReader(spec):
        return iter([_read(path)])
    return _video(spec, _opened(spec, "video", spec))


def _opened(spec: str, kind: str, *where: Any) -> cv2.VideoCapture:
    # It would name every way that it tried on stderr.
    spoken = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(*where)
    except cv2.error as error:
        raise SourceError(spec, _CLOSED[kind]) from error
    finally:
        logging.setLogLevel(spoken)
    if not capture.isOpened():
        capture.release()
        raise SourceError(spec, _CLOSED[kind])
    return capture


def _frames(capture: cv2.VideoCapture) -> Iterator[tuple[float, Any]]:
    """Yields each frame with its time in the video, and lets go of the device in the end."""
    try:
        while True:
            taken, pixels = capture.read()
            if not taken or pixels is None:
                return
            yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, pixels
    finally:
        capture.release()


def _camera(spec: str, capture: cv2.VideoCapture, clock: Callable[[], float]) -> Iterator[Picture]:
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture, not one that has waited
    promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    count = 0
    for _, pixels in _frames(capture):
        yield Picture(f"{spec}[{count}]", clock(), np.asarray(pixels, np.uint8))
        count += 1
    if count == 0 or promised <= 0:  # a video at a URL knows its length, and may end
        raise SourceError(spec, f"gave no more pictures after {count}: unplugged, or cut off?")


def _video(spec: str, capture: cv2.VideoCapture) -> Iterator[Picture]:
    promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    count = 0
    for when, pixels in _frames(capture):
        yield Picture(f"{spec}[{count}]", when, np.asarray(pixels, np.uint8))
        count += 1
    if count == 0:
        raise SourceError(spec, "a video without frames")
    if count < _LEAST_SHARE * promised:
        raise SourceError(spec, f"breaks off after {count} of {promised:.0f} frames")


def _folder(path: Path) -> Iterator[Picture]:
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    pictures = [file for file in files if cv2.haveImageReader(str(file))]
    if not pictures:
        raise SourceError(str(path), f"a folder without pictures ({len(files)} other files)")
    return map(_read, pictures)


def _read(path: Path) -> Picture:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SourceError(str(path), "a broken picture")
    return Picture(str(path), 0.0, np.asarray(pixels, np.uint8))
