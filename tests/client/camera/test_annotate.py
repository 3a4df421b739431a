"""What is drawn on a picture."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="drawing needs the extra `camera`")

from digitserve.client.camera.annotate import annotate
from digitserve.client.camera.boxes import Box, Reading

BLANK = np.full((480, 640, 3), 200, np.uint8)


def test_a_reading_is_drawn_around_its_digit_and_never_over_it() -> None:
    """The ink itself stays to be seen, and the picture that was given stays as it was."""
    box = Box(300, 200, 30, 50)
    drawn = annotate(BLANK, [Reading(box, 7, 0.98)])
    assert (BLANK == 200).all()
    assert (drawn[box.y : box.bottom, box.x : box.right] == 200).all()
    for row, column in ((box.y - 3, 315), (box.bottom + 2, 315), (225, box.x - 3)):
        assert drawn[row, column].tolist() != [200, 200, 200]


def test_colours_tell_sure_from_doubtful_from_guessed() -> None:
    """Each its own."""
    box = Box(300, 200, 30, 50)
    colours = {
        tuple(annotate(BLANK, [Reading(box, 7, confidence)])[225, 297].tolist())
        for confidence in (0.99, 0.7, 0.3)
    }
    assert len(colours) == 3


@pytest.mark.parametrize("box", [Box(0, 0, 640, 480), Box(-9, -9, 5, 5), Box(630, 470, 40, 40)])
@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920, 3), (10, 10, 3)])
def test_any_box_on_any_picture_can_be_drawn(box: Box, shape: tuple[int, ...]) -> None:
    """At an edge, over it, grey or large."""
    picture = np.zeros(shape, np.uint8)
    drawn = annotate(picture, [Reading(box, 0, 1.0)], rate=24.9, latency=0.0031)
    assert drawn.shape == (*shape[:2], 3)
    assert drawn.any()
