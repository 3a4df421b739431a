"""The finder, on pictures of which the truth is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from .conftest import Reader

cv2 = pytest.importorskip("cv2", reason="the finder needs the extra `camera`")

from digitserve.client.camera.boxes import Box, overlap  # noqa: E402
from digitserve.client.camera.digits import Digits, drawn_digits, mnist_digits  # noqa: E402
from digitserve.client.camera.finder import FoundDigit, find_digits  # noqa: E402
from digitserve.client.camera.score import score  # noqa: E402
from digitserve.client.camera.synthetic import scene  # noqa: E402

Picture = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
DRAWN = drawn_digits()


def paper(light: int = 220) -> Picture:
    """Blank, with the noise of a camera."""
    noise = np.random.default_rng(0).normal(0, 8, (480, 640))
    return np.clip(light + noise, 0, 255).astype(np.uint8)


def page(*places: tuple[int, int], scale: int = 2, digits: Digits = DRAWN) -> Picture:
    """The digits 0, 1, 2 ... with their 28x28 at these places, dark on light."""
    picture = paper().astype(np.float32)
    for (x, y), image in zip(places, digits.images, strict=False):
        ink = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        rows, columns = slice(y, y + 28 * scale), slice(x, x + 28 * scale)
        picture[rows, columns] *= 1 - 0.7 * ink / 255
    return picture.astype(np.uint8)


def labels(found: list[FoundDigit], read: Reader) -> list[int]:
    return [int(label) for label in read(np.stack([digit.image for digit in found]))]


@pytest.mark.parametrize(
    ("setting", "least_found", "least_right"),
    [("gentle", 0.98, 0.95), ("normal", 0.98, 0.95), ("hard", 0.9, 0.75)],
)
def test_digits_are_found_and_nothing_else(
    setting: str, least_found: float, least_right: float, read: Reader
) -> None:
    """On twenty scenes of drawn digits; `make prove-streams` has the figures for MNIST's."""
    result = score((scene(seed, DRAWN, setting) for seed in range(20)), read)
    assert result.found_share >= least_found, result
    assert result.false_share <= 0.01, result
    assert result.right_share >= least_right, result


@pytest.mark.mnist
def test_mnist_on_paper_is_found(mnist: Path, read: Reader) -> None:
    """Twenty of the two hundred scenes that the figures are about."""
    digits = mnist_digits(mnist)
    result = score((scene(seed, digits) for seed in range(20)), read)
    assert result.found_share >= 0.98, result
    assert result.false_share <= 0.01, result


def test_a_picture_with_no_digit_gives_none() -> None:
    """Neither noise nor an even grey, nor light that falls off, nor a stain is a digit."""
    fall = np.linspace(1, 0.4, 640)
    stained = cv2.circle(paper(), (300, 200), 30, 60, cv2.FILLED)
    ruled = cv2.line(paper(), (20, 200), (600, 204), 60, 3)
    flat = np.full((480, 640, 3), 200, np.uint8)
    for picture in (paper(), flat, (paper() * fall).astype(np.uint8), stained, ruled):
        assert find_digits(picture) == []


def test_specks_beside_digits_are_dropped() -> None:
    """Dust is smaller than what is written."""
    picture = page((100, 100), (200, 100))
    for x, y in ((50, 50), (400, 300), (170, 300)):
        cv2.circle(picture, (x, y), 4, 60, cv2.FILLED)
    assert len(find_digits(picture)) == 2


def test_light_ink_on_dark_paper_is_turned(read: Reader) -> None:
    """The model always sees light ink on 0."""
    picture = page((100, 100), (200, 100), (300, 100))
    assert labels(find_digits(255 - picture), read) == labels(find_digits(picture), read)
    assert labels(find_digits(picture), read) == [0, 1, 2]


def test_digits_come_in_reading_order(read: Reader) -> None:
    """Line by line although the lines are not straight, and from the left."""
    found = find_digits(page((60, 90), (160, 78), (260, 95), (40, 220), (300, 200)))
    assert labels(found, read) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("desk", [60, 120])
def test_a_sheet_on_a_dark_desk_is_read_and_its_edges_are_not(desk: int, read: Reader) -> None:
    """Although there is far more desk than ink."""
    sheet = page((100, 100), (200, 150), (300, 250), (450, 300))
    corners = np.array([(60, 40), (590, 70), (610, 440), (30, 420)])
    inside = cv2.fillConvexPoly(np.zeros((480, 640), np.uint8), corners, 1) > 0
    found = find_digits(np.where(inside, sheet, paper(desk)))
    assert labels(found, read) == [0, 1, 2, 3]


def test_the_edge_of_a_shadow_is_no_ink_and_hides_none(read: Reader) -> None:
    """Digits on either side are found alike."""
    light = np.where(np.arange(640) < 240, 0.55, 1.0)
    shaded = cv2.GaussianBlur(light[None].repeat(480, axis=0), (0, 0), 3)
    found = find_digits((page((60, 100), (160, 100), (400, 100)) * shaded).astype(np.uint8))
    assert labels(found, read) == [0, 1, 2]


def test_what_the_edge_of_the_picture_cuts_is_left_out() -> None:
    """Half a digit would be read as another one."""
    picture = page((100, 100), (200, 100))
    assert len(find_digits(picture[:, 120:])) == 1


def test_a_broken_stroke_is_one_digit() -> None:
    """A gap of two pixels across an upright stroke."""
    picture = paper()
    picture[100:120, 100:105] = picture[123:145, 100:105] = 60
    (found,) = find_digits(picture)
    assert overlap(found.box, Box(100, 100, 5, 45)) > 0.6


def test_grey_and_colour_agree() -> None:
    """A grey picture is one whose three colours are equal."""
    grey = page((100, 100), (200, 100))
    in_grey, in_colour = find_digits(grey), find_digits(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    for one, other in zip(in_grey, in_colour, strict=True):
        assert one.box == other.box
        assert np.array_equal(one.image, other.image)


def test_a_large_picture_has_its_boxes_in_its_own_pixels() -> None:
    """It is reduced to be searched, and nobody sees that."""
    small = page((100, 100), (200, 200))
    large = cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    for one, other in zip(find_digits(small), find_digits(large), strict=True):
        assert overlap(Box(*(4 * value for value in one.box)), other.box) > 0.7


def test_crops_look_like_mnist() -> None:
    """Clean paper around, full ink inside, grey flanks; the middle is the centre of mass."""
    for digit in find_digits(scene(1, DRAWN).picture):
        image = digit.image
        assert image.dtype == np.uint8
        assert image.shape == (28, 28)
        assert image.max() == 255
        assert not image[0].any()
        assert not image[:, 0].any()
        assert ((image > 0) & (image < 255)).sum() >= 20
        rows, columns = np.indices(image.shape)
        for at in (rows, columns):
            assert abs((at * image).sum() / image.sum() - 14) < 0.5


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.integers(0, 255)
    )
)
@settings(max_examples=60, deadline=None)
def test_any_picture_is_searched_without_harm(picture: Picture) -> None:
    """However small or odd; and every box lies inside."""
    for digit in find_digits(picture):
        assert digit.box.x >= 0
        assert digit.box.y >= 0
        assert digit.box.right <= picture.shape[1]
        assert digit.box.bottom <= picture.shape[0]
