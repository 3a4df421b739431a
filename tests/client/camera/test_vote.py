"""The temporal vote: its laws, for any readings."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from digitserve.client.camera.boxes import Box, Reading, overlap
from digitserve.client.camera.vote import Vote

HERE, THERE = Box(10, 10, 30, 40), Box(200, 10, 30, 40)

labels = st.integers(0, 9)
sure = st.floats(0, 1)
sizes, places = st.integers(1, 50), st.integers(-100, 100)
boxes = st.builds(Box, places, places, sizes, sizes)
readings = st.builds(Reading, boxes, labels, sure)


def seen(vote: Vote, digit: int, confidence: float = 0.9, box: Box = HERE) -> Reading:
    """The one reading of a picture, as the vote has it."""
    (steady,) = vote.update([Reading(box, digit, confidence)])
    return steady


@given(labels, st.lists(sure, min_size=1, max_size=30))
def test_a_constant_label_is_never_changed(digit: int, confidences: list[float]) -> None:
    """However unsure its readings are."""
    vote = Vote()
    assert all(seen(vote, digit, confidence).digit == digit for confidence in confidences)


@given(labels, labels, st.lists(sure, min_size=1, max_size=20), st.lists(sure, max_size=20), sure)
def test_a_single_flicker_does_not_change_the_label(
    digit: int, other: int, before: list[float], after: list[float], flicker: float
) -> None:
    """However sure it is, and however few readings there were before it."""
    vote = Vote()
    for confidence in before:
        seen(vote, digit, confidence)
    assert seen(vote, other, flicker).digit == digit
    assert all(seen(vote, digit, confidence).digit == digit for confidence in after)


@given(labels, labels, st.integers(1, 20), st.floats(0.01, 1))
def test_a_lasting_change_wins_within_the_memory(
    before: int, after: int, pictures: int, confidence: float
) -> None:
    """Another digit was written there."""
    vote = Vote()
    for _ in range(pictures):
        seen(vote, before, confidence)
    for _ in range(vote.memory):
        last = seen(vote, after, confidence)
    assert last.digit == after


@given(st.lists(st.lists(readings, max_size=5), max_size=12))
def test_every_reading_has_one_answer_at_its_place(pictures: list[list[Reading]]) -> None:
    """In order, with a confidence from 0 to 1 and a track of its own."""
    vote = Vote()
    for picture in pictures:
        steady = vote.update(picture)
        assert [reading.box for reading in steady] == [reading.box for reading in picture]
        assert all(0 <= reading.confidence <= 1 for reading in steady)
        assert len({reading.track for reading in steady}) == len(picture)


@given(st.integers(0, 12))
def test_a_track_dies_after_its_patience(missed: int) -> None:
    """A digit that is missed for longer begins anew when it is seen again."""
    vote = Vote(patience=5)
    first = seen(vote, 4)
    for _ in range(missed):
        vote.update([])
    assert (seen(vote, 4).track == first.track) == (missed <= 5)


@given(st.lists(st.lists(readings, max_size=5), max_size=30))
def test_what_it_remembers_is_bounded(pictures: list[list[Reading]]) -> None:
    """By what was seen within its patience."""
    vote = Vote(patience=2)
    for index, picture in enumerate(pictures):
        vote.update(picture)
        recent = pictures[max(index - 2, 0) : index + 1]
        assert len(vote._tracks) <= sum(map(len, recent))


def test_two_digits_keep_apart() -> None:
    """Whatever the order in which the finder gives them."""
    vote = Vote()
    left, right = Reading(HERE, 3, 0.9), Reading(THERE, 8, 0.9)
    first = vote.update([left, right])
    second = vote.update([right, left])
    assert [reading.digit for reading in second] == [8, 3]
    assert [reading.track for reading in second] == [first[1].track, first[0].track]


def test_a_track_follows_what_drifts() -> None:
    """Far from where it began, a little in each picture."""
    vote = Vote()
    tracks = {seen(vote, 5, box=HERE._replace(x=10 + 4 * i)).track for i in range(40)}
    assert len(tracks) == 1


def test_doubt_shows_in_the_confidence() -> None:
    """A flicker lowers it, although the label stays."""
    vote = Vote()
    steady = [seen(vote, 4).confidence for _ in range(4)][-1]
    assert seen(vote, 9).confidence < steady


@given(boxes, boxes)
def test_overlap_is_a_share(one: Box, other: Box) -> None:
    """Symmetric, 1 with itself, never outside of 0 to 1, and 0 exactly where there is a gap."""
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one) == 1
    assert 0 <= overlap(one, other) <= 1
    assert (overlap(one, other) == 0) == (max(one.apart(other)) >= 0)


def test_the_vote_needs_neither_opencv_nor_numpy() -> None:
    """It may run where the pictures do not come."""
    code = (
        "import sys, digitserve.client.camera.vote\nassert not {'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_opencv_the_error_says_how_to_get_it() -> None:
    """In one line, with the extra's name."""
    code = "import sys; sys.modules['cv2'] = None; import digitserve.client.camera._opencv"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("cameras and videos need OpenCV: pip install 'digitserve[camera]'")
