"""A camera without hardware: pictures of digits on paper, of which the truth is known.

    digits (MNIST's test set, or drawn ones) ─▶ size, slant, turn ─▶ places apart from each other
        ─▶ ink on paper ─▶ uneven light ─▶ blur ─▶ noise ─▶ Scene

What the finder is measured on, and what shows a stream to whoever has no camera.  The same seed
gives the same picture.  A moving scene keeps its page and lets the digits drift.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.boxes import Box
from digitserve.client.camera.digits import Digits
from digitserve.client.camera.pictures import Picture
from digitserve.client.camera.settings import SETTINGS, Setting

WIDTH, HEIGHT = 640, 480
RATE = 25.0  # frames of a moving scene in a second

# From the edge of the picture to the nearest digit.
_MARGIN = 12
# Ink fainter than this share of full ink is not seen as part of the digit.
_VISIBLE = 0.25
_TRIES = 200

Plane = NDArray[np.float32]


class TrueDigit(NamedTuple):
    """A digit of a scene: the box tightly around its visible ink, and what it is."""

    box: Box
    label: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is on it.

    Attributes:
        picture: uint8[480, 640, 3], blue, green, red.
        digits: in no order.
    """

    picture: NDArray[np.uint8]
    digits: tuple[TrueDigit, ...]


class _Glyph(NamedTuple):
    ink: Plane  # 0 to 1, cut to what is visible
    label: int
    x: int
    y: int
    drift: tuple[float, float, float]  # pixels to either side, seconds a round, phase


@dataclass(frozen=True, slots=True)
class _Page:
    """What stays the same in all frames of a moving scene."""

    glyphs: tuple[_Glyph, ...]
    paper: Plane  # [H, W], light that reaches the camera from blank paper, 0 to 255
    tint: Plane  # of the paper, one factor for each of blue, green, red
    ink_light: float  # of the paper's light, how much full ink gives back
    blur: float
    noise: float


def scene(seed: int, digits: Digits, setting: str = "normal") -> Scene:
    """Composes the picture of a seed.

    Args:
        seed: the same gives the same picture.
        digits: what to write with; see `Digits`.
        setting: `gentle`, `normal` or `hard`; see `SETTINGS`.
    """
    return next(video(seed, digits, setting, frames=1))


def video(
    seed: int, digits: Digits, setting: str = "normal", *, frames: int | None = None
) -> Iterator[Scene]:
    """Yields the scene of a seed with its digits drifting slowly, `RATE` frames a second.

    Args:
        seed: the same gives the same frames.
        digits: what to write with; see `Digits`.
        setting: `gentle`, `normal` or `hard`.
        frames: how many; None: without end.
    """
    page = _page(np.random.default_rng(seed), digits, SETTINGS[setting])
    frame = 0
    while frames is None or frame < frames:
        yield _seen(page, frame / RATE, np.random.default_rng((seed, frame)))
        frame += 1


def pictures(
    seed: int, digits: Digits, setting: str = "normal", *, frames: int | None = None
) -> Iterator[Picture]:
    """Yields what `video` shows as a source does, as fast as it is asked for."""
    for index, shown in enumerate(video(seed, digits, setting, frames=frames)):
        yield Picture(f"synthetic:{seed}[{index}]", index / RATE, shown.picture)


def _page(rng: np.random.Generator, digits: Digits, setting: Setting) -> _Page:
    inverted = rng.random() < setting.inverted
    paper = _light(rng, setting.gradient) * (rng.uniform(50, 80) if inverted else 225)
    return _Page(
        glyphs=_written(rng, digits, setting),
        paper=paper.astype(np.float32),
        tint=np.array((rng.uniform(0.9, 1), 0.98, 1), np.float32),
        ink_light=rng.uniform(2.5, 3) if inverted else rng.uniform(0.15, 0.4),
        blur=rng.uniform(*setting.blur),
        noise=setting.noise,
    )


def _light(rng: np.random.Generator, gradient: float) -> Plane:
    """Falls from 1 at one side or corner to `1 - gradient` at the opposite."""
    direction = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    slope = math.cos(direction) * columns + math.sin(direction) * rows
    fall = (slope - slope.min()) / np.ptp(slope)
    return np.asarray(1 - gradient * fall, np.float32)


def _written(rng: np.random.Generator, digits: Digits, setting: Setting) -> tuple[_Glyph, ...]:
    """Writes until every digit has a place; a page that got too full is begun anew."""
    while True:
        count = int(rng.integers(setting.count[0], setting.count[1], endpoint=True))
        glyphs: list[_Glyph] = []
        for index in rng.integers(len(digits.images), size=count):
            ink = _inked(rng, digits.images[index], setting)
            place = _place(rng, ink.shape, glyphs, setting.gap)
            if place is None:
                break
            drift = (setting.gap / 3, rng.uniform(6, 12), rng.uniform(0, 2 * np.pi))
            glyphs.append(_Glyph(ink, int(digits.labels[index]), *place, drift))
        else:
            return tuple(glyphs)


def _inked(rng: np.random.Generator, image: NDArray[np.uint8], setting: Setting) -> Plane:
    """One digit in its size, slanted (its columns lean) and turned (all of it leans)."""
    slant, turn = (math.radians(rng.uniform(-a, a)) for a in (setting.slant, setting.turn))
    lean = np.array(((1, -math.tan(slant)), (0, 1)))
    rotate = np.array(((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))))
    # Measured first at three times the size: what leans gets another height than it had.
    ink = _transformed(image, 3 * rotate @ lean)
    scale = rng.uniform(*setting.height) / ink.shape[0]
    return _transformed(image, 3 * scale * rotate @ lean)


def _transformed(image: NDArray[np.uint8], change: NDArray[np.float64]) -> Plane:
    side = math.ceil(40 * np.abs(change).sum(axis=1).max())
    shift = np.full(2, side / 2) - change @ np.full(2, 13.5)
    ink = cv2.warpAffine(
        image.astype(np.float32) / np.float32(255),
        np.column_stack((change, shift)),
        (side, side),
        flags=cv2.INTER_CUBIC,
    )
    return _cut(np.clip(np.asarray(ink, np.float32), 0, 1))


def _cut(ink: Plane) -> Plane:
    x, y, width, height = _visible(ink)
    return ink[y : y + height, x : x + width]


def _visible(ink: Plane) -> Box:
    seen = ink > _VISIBLE * ink.max()
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    return Box(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def _place(
    rng: np.random.Generator, shape: tuple[int, ...], others: list[_Glyph], gap: int
) -> tuple[int, int] | None:
    """A place where `gap` pixels are free around it."""
    height, width = shape
    for _ in range(_TRIES):
        x = int(rng.integers(_MARGIN, WIDTH - _MARGIN - width))
        y = int(rng.integers(_MARGIN, HEIGHT - _MARGIN - height))
        box = Box(x, y, width, height)
        if all(
            max(box.apart(Box(o.x, o.y, o.ink.shape[1], o.ink.shape[0]))) >= gap for o in others
        ):
            return x, y
    return None


def _seen(page: _Page, time: float, rng: np.random.Generator) -> Scene:
    """What the camera sees of a page at a time."""
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    truth = []
    for glyph in page.glyphs:
        reach, round_time, phase = glyph.drift
        angle = 2 * np.pi * time / round_time + phase
        x = glyph.x + round(reach * (math.sin(angle) - math.sin(phase)) / 2)
        y = glyph.y + round(reach * (math.cos(angle) - math.cos(phase)) / 2)
        alone = cv2.GaussianBlur(cv2.copyMakeBorder(glyph.ink, 8, 8, 8, 8, 0), (0, 0), page.blur)
        rows, columns = alone.shape
        ink[y - 8 : y - 8 + rows, x - 8 : x - 8 + columns] += alone
        box = _visible(np.asarray(alone, np.float32))
        truth.append(TrueDigit(box._replace(x=x - 8 + box.x, y=y - 8 + box.y), glyph.label))
    light = page.paper * (1 - (1 - page.ink_light) * ink)
    # One noise for the three colours: averaging them to grey does not lessen it.
    grains = page.noise * rng.standard_normal((HEIGHT, WIDTH, 1), np.float32)
    picture = light[..., None] * page.tint + grains
    return Scene(np.clip(np.rint(picture), 0, 255).astype(np.uint8), tuple(truth))
