"""Any picture that Pillow opens -> how light each point of it is, and on to 28x28.

Knows files and colours, and nothing of digits.  Decoders meet hostile data here: their size is
bounded before anything is unpacked, and whatever they raise becomes one clear line.
"""

import warnings
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digitserve.client.images.files import Unfit
from digitserve.client.images.ink import NoInk
from digitserve.client.images.normalise import normalise

# The longest side that is looked at: a digit's strokes stay several points wide, and a photo of
# 12 megapixels costs little more than its decoding.
_WORKING_SIDE = 480


def read_picture(stream: IO[bytes]) -> bytes:
    """Makes the 784 bytes of the one digit in a picture."""
    image = _decoded(stream)
    transparent = image.mode == "RGBA"
    try:
        return normalise(_lightness(_on_paper(image, "white") if transparent else image))
    except NoInk as error:
        if not transparent:
            raise Unfit("no ink found", "a digit, dark on light or light on dark") from error
    try:  # white ink on nothing
        return normalise(_lightness(_on_paper(image, "black")))
    except NoInk as error:
        raise Unfit("no ink found", "a digit, dark on light or light on dark") from error


def _decoded(stream: IO[bytes]) -> Image.Image:
    """Opens, unpacks and turns a picture, in a mode that `_lightness` knows."""
    Image.init()
    formats = [name for name in Image.ID if name != "EPS"]  # would start Ghostscript
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of harmless oddities, such as broken EXIF
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = Image.open(stream, formats=formats)
            file.draft("RGB", (2 * _WORKING_SIDE, 2 * _WORKING_SIDE))
            file.load()
            image = ImageOps.exif_transpose(file)
            if image.has_transparency_data:
                image = image.convert("RGBA")
            elif image.mode not in {"L", "F"} and not image.mode.startswith("I"):
                image = image.convert("RGB").convert("L")
    except UnidentifiedImageError as error:
        raise Unfit("nothing known", "a picture, .npy, .npz, IDX or PGM") from error
    except Exception as error:  # decoders raise whatever the broken data led them to
        raise Unfit(f"cannot be read as a picture ({error})") from error
    return image


def _on_paper(image: Image.Image, colour: str) -> Image.Image:
    paper = Image.new("RGBA", image.size, colour)
    return Image.alpha_composite(paper, image).convert("L")


def _lightness(image: Image.Image) -> NDArray[np.float32]:
    """The picture as [rows, columns] of 0 = black to 1 = white, at most `_WORKING_SIDE` a side."""
    light = np.asarray(image, dtype=np.float32)
    if image.mode == "L":
        light = light / np.float32(255)
    else:  # 16-bit grey, or values of no known range
        light = np.nan_to_num(light, posinf=0, neginf=0)
        low, high = float(light.min()), float(light.max())
        light = (light - low) / np.float32(max(high - low, 1e-12))
    factor = _WORKING_SIDE / max(light.shape)
    if factor >= 1:
        return light
    size = tuple(max(1, round(factor * side)) for side in image.size)
    small = Image.fromarray(light).resize(size, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)
