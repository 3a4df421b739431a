"""The synthetic camera: fixed by its seed, and true."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the synthetic camera needs the extra `camera`")

from digitserve.client.camera.boxes import matches
from digitserve.client.camera.digits import drawn_digits, mnist_digits
from digitserve.client.camera.pictures import SourceError
from digitserve.client.camera.settings import SETTINGS
from digitserve.client.camera.synthetic import pictures, scene, video

DRAWN = drawn_digits()


def test_a_seed_always_gives_the_same_scene() -> None:
    """And another seed another."""
    one, again, other = scene(7, DRAWN), scene(7, DRAWN), scene(8, DRAWN)
    assert np.array_equal(one.picture, again.picture)
    assert one.digits == again.digits
    assert one.digits != other.digits


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_scene_keeps_to_its_setting(setting: str) -> None:
    """Count, height and distance of its digits; a blur moves an edge by a little."""
    limits = SETTINGS[setting]
    for seed in range(8):
        shown = scene(seed, DRAWN, setting)
        assert shown.picture.shape == (480, 640, 3)
        assert shown.picture.dtype == np.uint8
        assert limits.count[0] <= len(shown.digits) <= limits.count[1]
        boxes = [digit.box for digit in shown.digits]
        for box in boxes:
            assert limits.height[0] - 3 <= box.height <= limits.height[1] + 5
            assert box.x >= 0 < box.y
            assert box.right <= 640
            assert box.bottom <= 480
        assert all(max(a.apart(b)) > 0 for a in boxes for b in boxes if a is not b)


def test_true_boxes_are_tight_around_the_ink() -> None:
    """Most of what is dark in a gentle scene is inside, and each side touches it."""
    shown = scene(3, DRAWN, "gentle")
    dark = shown.picture[..., 1] < 0.75 * np.median(shown.picture)
    for box, _ in shown.digits:
        inside = dark[box.y : box.bottom, box.x : box.right]
        assert inside[:3].any()
        assert inside[-3:].any()
        assert inside[:, :3].any()
        assert inside[:, -3:].any()
        dark[box.y - 2 : box.bottom + 2, box.x - 2 : box.right + 2] = False
    assert not dark.any()


def test_digits_of_a_video_drift_slowly_and_stay_themselves() -> None:
    """From frame to frame a box overlaps with itself; after a while it is elsewhere."""
    frames = list(video(5, DRAWN, frames=30))
    for before, after in pairwise(frames):
        assert [digit.label for digit in before.digits] == [digit.label for digit in after.digits]
        old, new = ([digit.box for digit in frame.digits] for frame in (before, after))
        assert sorted(matches(old, new, 0.6)) == [(i, i) for i in range(len(old))]
    assert frames[0].digits != frames[-1].digits
    assert not np.array_equal(frames[0].picture, frames[1].picture)


def test_it_is_a_source_too() -> None:
    """With names and times, as a video has."""
    shown = list(pictures(5, DRAWN, frames=3))
    assert [picture.name for picture in shown] == [f"synthetic:5[{i}]" for i in range(3)]
    assert [picture.time for picture in shown] == [0, 0.04, 0.08]
    assert np.array_equal(shown[0].pixels, scene(5, DRAWN).picture)


def test_drawn_digits_come_along() -> None:
    """Five of each, for whoever has no MNIST."""
    assert DRAWN.images.shape == (50, 28, 28)
    assert np.bincount(DRAWN.labels).tolist() == [5] * 10


@pytest.mark.mnist
def test_mnist_is_read_from_where_it_lies(mnist: Path) -> None:
    """A folder of IDX files or an `.npz`."""
    digits = mnist_digits(mnist)
    assert digits.images.shape == (10_000, 28, 28)
    assert digits.labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_what_is_not_mnist_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """An empty folder, an empty file, any other file: one clear line."""
    path = tmp_path / "place"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SourceError, match="place: not MNIST"):
        mnist_digits(path)
