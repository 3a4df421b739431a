"""The normaliser's laws: where, how large, how dark and how lit a digit is does not matter."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digitserve.client.images import ImageFileError, read_images

pytest.importorskip("PIL", reason="pictures need the extra `cli`")

from PIL import Image, ImageDraw

from digitserve.client.images.ink import NoInk
from digitserve.client.images.normalise import normalise

Levels = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]
SAMPLES = Path(__file__).parents[2] / "samples"

# Corners of strokes in a unit square, drawn without lifting the pen.
STROKES = {
    "1": [(0.5, 0.0), (0.5, 1.0)],
    "2": [(0.1, 0.15), (0.5, 0.0), (0.85, 0.2), (0.7, 0.5), (0.05, 1.0), (0.95, 1.0)],
    "4": [(0.7, 1.0), (0.7, 0.0), (0.05, 0.65), (0.95, 0.65)],
    "5": [(0.85, 0.0), (0.2, 0.0), (0.15, 0.45), (0.7, 0.4), (0.9, 0.7), (0.6, 1.0), (0.1, 0.9)],
    "7": [(0.05, 0.0), (0.95, 0.0), (0.4, 1.0)],
}


def ink(
    digit: str, *, side: int = 160, at: tuple[int, int] = (120, 80), pen: float = 0.09
) -> Light:
    """Strokes on 400 x 300 points, 0 to 1."""
    sheet = Image.new("L", (400, 300))
    points = [(at[0] + 0.7 * side * x, at[1] + side * y) for x, y in STROKES[digit]]
    ImageDraw.Draw(sheet).line(points, fill=255, width=max(2, round(pen * side)), joint="curve")
    return np.asarray(sheet, dtype=np.float32) / np.float32(255)


def on_paper(drawn: Light, paper: float = 0.9, contrast: float = 0.8) -> Light:
    """Dark ink on light paper."""
    return np.float32(paper) * (1 - np.float32(contrast) * drawn)


def image(light: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int16]:
    """What the normaliser makes of it."""
    levels = np.frombuffer(normalise(light.astype(np.float32)), np.uint8)
    return levels.reshape(28, 28).astype(np.int16)


def alike(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> float:
    """How well two images fall together, a pixel more or less to any side: at best 1."""
    return max(
        float(np.corrcoef(one.ravel(), np.roll(other, (down, right), (0, 1)).ravel())[0, 1])
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    )


digits = st.sampled_from(sorted(STROKES))
unhurried = settings(deadline=None, max_examples=25)  # some 20 ms for each picture


@unhurried
@given(digit=digits, x=st.integers(5, 250), y=st.integers(5, 125), side=st.integers(60, 165))
def test_place_and_size_do_not_matter(digit: str, x: int, y: int, side: int) -> None:
    """Anywhere on the paper, from a fifth of its height to most of it."""
    moved = image(on_paper(ink(digit, side=side, at=(x, y))))
    assert alike(image(on_paper(ink(digit))), moved) > 0.85


@unhurried
@given(digit=digits, paper=st.floats(0.4, 1.0), contrast=st.floats(0.25, 1.0))
def test_neither_paper_nor_ink_matter(digit: str, paper: float, contrast: float) -> None:
    """Grey paper, grey ink, and chalk on a board."""
    expected = image(on_paper(ink(digit), 1.0, 1.0))
    light = on_paper(ink(digit), paper, contrast)
    assert alike(expected, image(light)) > 0.97
    assert alike(expected, image(1 - light)) > 0.97


@unhurried
@given(digit=digits, x=st.integers(5, 250), y=st.integers(5, 125), side=st.integers(60, 165))
def test_every_image_is_as_mnist_has_it(digit: str, x: int, y: int, side: int) -> None:
    """Full ink somewhere, 20 pixels long, its centre of mass in the middle, all of it inside."""
    made = image(on_paper(ink(digit, side=side, at=(x, y))))
    rows, columns = np.nonzero(made)
    assert made.max() == 255
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    centre = [np.average(axis, weights=made) for axis in np.indices(made.shape)]
    assert centre == pytest.approx([14, 14], abs=0.51)


@unhurried
@given(digit=digits, side=st.integers(60, 165))
def test_what_is_normal_stays_as_it_is(digit: str, side: int) -> None:
    """Normalising twice is normalising once; the negative of an image is that image."""
    once = image(on_paper(ink(digit, side=side)))
    light = once.astype(np.float32) / 255
    assert np.array_equal(image(light), once)
    assert np.array_equal(image(1 - light), once)


@unhurried
@given(digit=digits, seed=st.integers(0, 1000), falloff=st.floats(0.0, 0.5))
def test_uneven_light_and_grain_do_not_matter(digit: str, seed: int, falloff: float) -> None:
    """As a phone's camera sees a page; and the paper is 0 in the end."""
    grain = np.random.default_rng(seed).normal(0, 0.03, (300, 400))
    light = on_paper(ink(digit)) * np.linspace(1 - falloff, 1, 400, dtype=np.float32) + grain
    made = image(np.clip(light, 0, 1))
    assert alike(image(on_paper(ink(digit))), made) > 0.9
    assert np.count_nonzero(made[image(on_paper(ink(digit))) == 0]) < 40


@unhurried
@given(digit=digits, edge=st.floats(0.2, 0.8))
def test_a_hard_shadow_does_not_matter(digit: str, edge: float) -> None:
    """Whatever casts it, even over the digit."""
    light = on_paper(ink(digit))
    light[:, round(400 * edge) :] *= np.float32(0.6)
    assert alike(image(on_paper(ink(digit))), image(light)) > 0.9


def test_specks_and_the_edge_of_the_table_are_no_ink() -> None:
    """Small dots anywhere, and what runs along a side of the picture."""
    light = on_paper(ink("5"))
    light[20:24, 30:34] = light[270:273, 380:384] = light[200:205, 20:23] = 0.1
    light[:, :24] = 0.15
    assert alike(image(on_paper(ink("5"))), image(light)) > 0.95


def test_faint_ink_is_kept_beside_dark() -> None:
    """A stroke that fades to a third stays one stroke, from end to end."""
    fading = ink("1") * np.linspace(1, 0.33, 300, dtype=np.float32)[:, None]
    made = image(on_paper(fading))
    assert np.count_nonzero(made.max(axis=1) > 40) >= 18


@pytest.mark.parametrize("pen", [0.015, 0.05, 0.2])
def test_fine_and_broad_pens_leave_full_ink(pen: float) -> None:
    """A line thinner than one of the 28 rows is no fainter for it."""
    made, usual = image(on_paper(ink("7", pen=pen))), image(on_paper(ink("7")))
    assert made.max() == 255
    assert alike(made, usual) > 0.5


@unhurried
@given(
    seed=st.integers(0, 1000),
    grain=st.floats(0.0, 0.1),
    level=st.floats(0.05, 1.0),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_blank_paper_has_no_ink(
    seed: int, grain: float, level: float, shape: tuple[int, int]
) -> None:
    """Of any size and grain; however little there is to see, nothing else is raised."""
    assume(min(shape) >= 30 or grain == 0)  # on a few points any grain might be a drawing
    noise = np.random.default_rng(seed).normal(0, grain, (4 * shape[0], 4 * shape[1]))
    light = np.clip(level + noise, 0, 1)[:: 1 if grain else 4, :: 1 if grain else 4]
    with pytest.raises(NoInk):
        normalise(light.astype(np.float32))


class TestFiles:
    """How picture files say what is light."""

    @staticmethod
    def read(picture: Image.Image, folder: Path, kind: str = "PNG", **how: object) -> Levels:
        """What a picture file becomes."""
        buffer = io.BytesIO()
        picture.save(buffer, kind, **how)
        (folder / "picture").write_bytes(buffer.getvalue())
        (made,) = read_images(folder / "picture")
        return np.frombuffer(made.pixels, np.uint8).reshape(28, 28)

    @staticmethod
    def grey() -> Image.Image:
        """A 2 on paper."""
        return Image.fromarray(np.rint(255 * on_paper(ink("2"))).astype(np.uint8))

    @pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
    def test_the_mode_does_not_matter(self, tmp_path: Path, mode: str) -> None:
        """Black and white, palettes, colours, inks, 16 bits."""
        expected = self.read(self.grey(), tmp_path)
        picture = self.grey()
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 100)
        elif mode == "1":
            picture = picture.point(lambda level: 255 * (level > 127)).convert("1")
        else:
            picture = picture.convert(mode)
        made = self.read(picture, tmp_path, "TIFF" if mode == "CMYK" else "PNG")
        assert alike(expected.astype(np.int16), made.astype(np.int16)) > 0.97

    @pytest.mark.parametrize("colour", [0, 255])
    def test_ink_on_nothing_is_ink(self, tmp_path: Path, colour: int) -> None:
        """Transparent paper is white, unless nothing could be seen on it."""
        alpha = Image.fromarray(np.rint(255 * ink("2")).astype(np.uint8))
        picture = Image.merge("LA", (Image.new("L", alpha.size, colour), alpha))
        made = self.read(picture, tmp_path)
        expected = self.read(self.grey(), tmp_path)
        assert alike(expected.astype(np.int16), made.astype(np.int16)) > 0.97

    def test_a_phone_that_was_held_sideways_is_turned(self, tmp_path: Path) -> None:
        """EXIF says how."""
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
        sideways = self.grey().transpose(Image.Transpose.ROTATE_90)
        made = self.read(sideways, tmp_path, "JPEG", quality=95, exif=exif)
        expected = self.read(self.grey(), tmp_path)
        assert alike(expected.astype(np.int16), made.astype(np.int16)) > 0.97

    def test_nothing_on_nothing_is_refused(self, tmp_path: Path) -> None:
        """Transparent all over."""
        with pytest.raises(ImageFileError, match="no ink found"):
            self.read(Image.new("RGBA", (60, 60), (0, 0, 0, 0)), tmp_path)


@pytest.mark.mnist
def test_mnist_itself_is_normal(mnist: Path) -> None:
    """At least 99 of 100 images keep every pixel."""
    from support.mnist import read_test_set  # noqa: PLC0415

    images, _ = read_test_set(mnist)
    light = images[:500].astype(np.float32) / 255
    kept = [np.array_equal(image(one), levels) for one, levels in zip(light, images, strict=False)]
    assert np.mean(kept) >= 0.99
