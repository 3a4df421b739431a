"""Any file of images -> 28x28: readers that say what is wrong, a normaliser that does not mind."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.client.images import ImageFileError, read_images

SAMPLES = Path(__file__).parents[2] / "samples"
batches = arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(28), st.just(28)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a test's files lie."""
    return tmp_path_factory.mktemp("images")


def read(folder: Path, content: bytes, name: str = "file") -> list[bytes]:
    """The images of a file with this content; its name says nothing."""
    path = folder / name
    path.write_bytes(content)
    return [image.pixels for image in read_images(path)]


def npy(array: np.ndarray) -> bytes:
    """What NumPy saves."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def idx(batch: np.ndarray) -> bytes:
    """What MNIST's files look like."""
    return struct.pack(">IIII", 0x803, len(batch), 28, 28) + batch.tobytes()


@given(batch=batches)
def test_every_kind_of_file_gives_the_same_images(folder: Path, batch: np.ndarray) -> None:
    """`.npy` in every shape and order, `.npz`, IDX, gzipped or not."""
    expected = [image.tobytes() for image in batch]
    archive = io.BytesIO()
    np.savez(archive, x_test=batch, y_test=np.zeros(len(batch)))
    for content in (
        npy(batch),
        npy(batch.reshape(-1, 784)),
        npy(batch[..., None]),
        npy(np.asfortranarray(batch)),
        gzip.compress(npy(batch)),
        archive.getvalue(),
        idx(batch),
        gzip.compress(idx(batch)),
    ):
        assert read(folder, content) == expected


@given(image=arrays.arrays(np.float64, (28, 28), elements=st.floats(0, 1)))
def test_floats_are_rounded_to_the_nearest_level(folder: Path, image: np.ndarray) -> None:
    """Halves to even, as the server rounds; in either byte order."""
    products = image.astype(np.float32) * np.float32(255)  # what travels is float32
    expected = [np.rint(products).astype(np.uint8).tobytes()]
    assert read(folder, npy(image)) == expected
    assert read(folder, npy(image.astype(">f8"))) == expected


@given(image=arrays.arrays(np.uint8, (28, 28)))
def test_pgm_is_taken_as_it_is(folder: Path, image: np.ndarray) -> None:
    """Binary or text, with comments."""
    text = " ".join(map(str, image.ravel())).encode()
    for content in (
        b"P5\n# drawn\n28 28\n255\n" + image.tobytes(),
        b"P2 28 28 255\n" + text,
    ):
        assert read(folder, content) == [image.tobytes()]


def test_images_are_named_after_their_file() -> None:
    """With an index where there are several."""
    names = [image.name for image in read_images(SAMPLES / "digits.npy")]
    assert names[0] == f"{SAMPLES / 'digits.npy'}[0]"
    assert [image.name for image in read_images(SAMPLES / "7.pgm")] == [str(SAMPLES / "7.pgm")]


def test_one_array_of_an_archive_can_be_named(folder: Path) -> None:
    """`FILE.npz:KEY`; an unknown one lists what there is."""
    image = np.full((1, 28, 28), 7, np.uint8)
    np.savez(folder / "two.npz", mine=image, other=image + 1)
    (got,) = read_images(f"{folder / 'two.npz'}:other")
    assert got.pixels == bytes([8]) * 784
    with pytest.raises(ImageFileError, match="arrays mine, other"):
        list(read_images(folder / "two.npz"))
    with pytest.raises(ImageFileError, match="expected one called third"):
        list(read_images(f"{folder / 'two.npz'}:third"))


BLANK = np.zeros((2, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (npy(BLANK)[:-1], "cut off after 1 of 2 images"),
        (npy(BLANK) + b"x", "more data than its header says"),
        (npy(BLANK[:, :27]), r"an array of shape \[2, 27, 28\]"),
        (npy(BLANK.astype(np.int64)), "expected"),
        (npy(np.full((28, 28), 255.0)), "a pixel of 255"),
        (npy(np.full((28, 28), np.nan)), "a pixel of nan"),
        (idx(BLANK)[:-1], "cut off after 1 of 2 images"),
        (struct.pack(">II", 0x801, 2) + bytes(2), "label"),
        (gzip.compress(idx(BLANK))[:-9], "cut off or broken"),
        (b"PK\x03\x04 not a zip", "cannot be unpacked"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(folder: Path, content: bytes, said: str) -> None:
    """The file, what came, what was expected."""
    with pytest.raises(ImageFileError, match=said) as raised:
        read(folder, content, "wrong")
    assert raised.value.file == str(folder / "wrong")


def test_a_zip_without_arrays_is_refused(folder: Path) -> None:
    """It is an archive, but not NumPy's."""
    with zipfile.ZipFile(folder / "text.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(ImageFileError, match=r"without \.npy arrays"):
        list(read_images(folder / "text.zip"))


def test_a_missing_file_is_said(folder: Path) -> None:
    """And a folder is no file."""
    with pytest.raises(ImageFileError, match="No such file"):
        list(read_images(folder / "nowhere"))
    with pytest.raises(ImageFileError, match="Is a directory"):
        list(read_images(folder))


class TestPictures:
    """Pictures of any size, made MNIST-like."""

    @pytest.fixture(autouse=True)
    def _pillow(self) -> None:
        pytest.importorskip("PIL", reason="pictures need the extra `cli`")

    @staticmethod
    def picture(light: np.ndarray, kind: str = "PNG") -> bytes:
        """A picture file of grey levels."""
        from PIL import Image  # noqa: PLC0415

        buffer = io.BytesIO()
        Image.fromarray(light).save(buffer, kind)
        return buffer.getvalue()

    @staticmethod
    def stroke(height: int = 300, width: int = 200, at: tuple[int, int] = (60, 80)) -> np.ndarray:
        """Dark ink on light paper: an upright bar with a foot."""
        paper = np.full((height, width), 230, np.uint8)
        top, left = at
        paper[top : top + 120, left : left + 16] = 30
        paper[top + 104 : top + 120, left : left + 60] = 30
        return paper

    def image(self, folder: Path, light: np.ndarray, kind: str = "PNG") -> np.ndarray:
        """What becomes of a picture, int16[28, 28]."""
        (pixels,) = read(folder, self.picture(light, kind))
        return np.frombuffer(pixels, np.uint8).reshape(28, 28).astype(np.int16)

    def test_ink_is_high_and_fits_the_box(self, folder: Path) -> None:
        """20 pixels in its longer direction, its centre of mass in the middle, paper at 0."""
        image = self.image(folder, self.stroke())
        rows = np.nonzero(image > 127)[0]
        assert 19 <= np.ptp(rows) + 1 <= 21
        assert np.average(np.indices((28, 28))[0], weights=image) == pytest.approx(14, abs=1)
        assert image.max() == 255
        assert image[[0, -1]].max() == image[:, [0, -1]].max() == 0

    def test_polarity_does_not_matter(self, folder: Path) -> None:
        """Chalk on a board reads as pen on paper."""
        image = self.image(folder, self.stroke())
        assert np.abs(image - self.image(folder, 255 - self.stroke())).mean() < 4

    @pytest.mark.parametrize("at", [(10, 10), (100, 120), (150, 20)])
    def test_position_does_not_matter(self, folder: Path, at: tuple[int, int]) -> None:
        """Wherever it is on the paper."""
        expected = self.image(folder, self.stroke())
        assert np.abs(expected - self.image(folder, self.stroke(at=at))).mean() < 6

    def test_neither_noise_nor_light_nor_jpeg_matter(self, folder: Path) -> None:
        """A gradient of 40 % over the paper, grain, and lossy compression."""
        rng = np.random.default_rng(0)
        light = self.stroke() * np.linspace(0.6, 1, 200) + rng.normal(0, 4, (300, 200))
        expected = self.image(folder, self.stroke())
        got = self.image(folder, light.clip(0, 255).astype(np.uint8), "JPEG")
        assert np.abs(expected - got).mean() < 10

    def test_an_image_that_is_normal_already_keeps_its_pixels(self, folder: Path) -> None:
        """28x28, light ink on dark: what MNIST looks like as a picture."""
        digits = np.load(SAMPLES / "digits.npy")
        assert np.array_equal(self.image(folder, digits[0]), digits[0])

    def test_blank_paper_is_refused(self, folder: Path) -> None:
        """There is nothing to classify."""
        with pytest.raises(ImageFileError, match="no ink found"):
            self.image(folder, np.full((100, 100), 240, np.uint8))

    def test_a_broken_picture_is_refused(self, folder: Path) -> None:
        """Cut off in the middle."""
        with pytest.raises(ImageFileError, match="cannot be read as a picture"):
            read(folder, self.picture(self.stroke())[:-60])
