"""The one door to OpenCV, an extra: where it is missing, the error says how to get it.

from digitserve.client.camera._opencv import cv2
"""

import os

from digitserve.client.errors import DigitServeError


class CameraExtraMissing(DigitServeError, ImportError):
    """OpenCV is not installed."""


# FFmpeg inside OpenCV speaks to stderr of every broken file: SourceError says it instead.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

try:
    import cv2
except ModuleNotFoundError as error:
    raise CameraExtraMissing(
        "cameras and videos need OpenCV: pip install 'digitserve[camera]'"
    ) from error

__all__ = ["cv2"]
