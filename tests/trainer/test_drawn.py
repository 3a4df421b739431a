"""Digits of our own making."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitserve.trainer.drawn import SIDE, draw, drawn_digits, hands
from digitserve.trainer.gate import gate_digits, write_gate
from digitserve.trainer.golden import golden_digits
from digitserve.trainer.samples import write_samples

# A busy machine may take long over a drawing; that is no law.
unhurried = settings(deadline=None)

DIGITS = st.integers(0, 9)
SEEDS = st.integers(0, 2**32 - 1)
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
GATE = ROOT / "server/digitserve/server/versions/gate.npz"


@st.composite
def drawings(draws: st.DrawFn) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    digit, seed = draws(DIGITS), draws(SEEDS)
    hand = draws(st.integers(0, hands(digit) - 1))
    return draw(digit, hand, np.random.default_rng(seed))


@unhurried
@given(image=drawings())
def test_a_drawing_has_the_form_of_mnist(image: np.ndarray) -> None:
    """28x28 bytes, paper at the corners, ink somewhere, and neither everywhere."""
    assert image.dtype == np.uint8
    assert image.shape == (SIDE, SIDE)
    assert image.max() > 200
    assert not image[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert 0.02 < (image > 127).mean() < 0.5


@unhurried
@given(image=drawings())
def test_a_drawing_lies_in_the_middle(image: np.ndarray) -> None:
    """Its centre of mass is pixel (14, 14), as MNIST's are, to a tenth of a pixel."""
    mass = image / image.sum()
    y, x = np.mgrid[:SIDE, :SIDE]
    assert abs((mass * x).sum() - 14) < 0.1
    assert abs((mass * y).sum() - 14) < 0.1


@unhurried
@given(image=drawings())
def test_a_drawing_fits_the_box(image: np.ndarray) -> None:
    """Its ink, a fringe aside, is no higher and no wider than 20 pixels, as MNIST's."""
    rows, columns = np.nonzero(image > 127)
    assert np.ptp(rows) < 20
    assert np.ptp(columns) < 20


@unhurried
@given(digit=DIGITS, seed=SEEDS)
def test_the_same_seed_draws_the_same(digit: int, seed: int) -> None:
    """What is drawn depends on digit, hand and seed, and on nothing else."""
    one, other = (draw(digit, 0, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("digit", range(10))
def test_hands_differ(digit: int) -> None:
    """Each digit is written in at least four ways that the same chance draws differently."""
    drawings = [draw(digit, hand, np.random.default_rng(0)) for hand in range(hands(digit))]
    assert len(drawings) >= 4
    assert len({image.tobytes() for image in drawings}) == len(drawings)


def test_drawn_digits_are_balanced() -> None:
    """As many of each digit as were asked for, and no image twice."""
    images, labels = drawn_digits(6, seed=0)
    assert np.bincount(labels).tolist() == [6] * 10
    assert len(np.unique(images.reshape(60, -1), axis=0)) == 60


def test_more_digits_begin_with_the_same() -> None:
    """Asking for more changes none of the first: a sample keeps its place."""
    assert np.array_equal(drawn_digits(5, seed=4)[0][:20], drawn_digits(2, seed=4)[0])


def test_no_digits() -> None:
    """None asked for is an empty array of the same form."""
    images, labels = drawn_digits(0, seed=0)
    assert images.shape == (0, SIDE, SIDE)
    assert labels.shape == (0,)


def test_samples_are_what_the_script_draws(tmp_path: Path) -> None:
    """The committed samples can be made again; another machine's sines may move a last bit."""
    image = pytest.importorskip("PIL.Image")
    write_samples(tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    committed = {path.relative_to(SAMPLES) for path in SAMPLES.rglob("*.*")}
    assert made == committed - {Path("README.md")}
    for name in made:
        read = np.load if name.suffix == ".npy" else lambda path: np.asarray(image.open(path))
        now, before = (read(folder / name).astype(int) for folder in (tmp_path, SAMPLES))
        assert np.abs(now - before).max() <= 1, name


def test_the_single_sample_is_one_of_the_many() -> None:
    """The sample in `7.pgm` is a seven of `digits.npy`: 784 raw pixels behind its header."""
    content = (SAMPLES / "7.pgm").read_bytes()
    images, labels = np.load(SAMPLES / "digits.npy"), np.load(SAMPLES / "labels.npy")
    assert content.startswith(b"P5\n28 28\n255\n")
    assert content[-784:] == images[np.flatnonzero(labels == 7)[0]].tobytes()


def test_the_gate_set_is_what_the_script_draws(tmp_path: Path) -> None:
    """The same bytes each time; the committed one may differ by another machine's last bit."""
    for name in ("one.npz", "other.npz"):
        write_gate(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    now, before = (np.load(path, allow_pickle=False) for path in (tmp_path / "one.npz", GATE))
    assert set(before) == {"images", "labels"}
    assert before["images"].dtype == before["labels"].dtype == np.uint8
    assert before["images"].shape == (500, SIDE, SIDE)
    assert np.bincount(before["labels"]).tolist() == [50] * 10
    assert np.array_equal(now["labels"], before["labels"])
    assert np.abs(now["images"].astype(int) - before["images"]).max() <= 1


def test_the_gate_set_is_shown_nowhere_else() -> None:
    """None of its digits is a golden one, a sample, or one that a trained network is tried on."""
    others = [golden_digits()[0], np.load(SAMPLES / "digits.npy"), drawn_digits(50, seed=0)[0]]
    known = {image.tobytes() for images in others for image in images}
    assert known.isdisjoint(image.tobytes() for image in gate_digits()[0])
