"""Data that can be believed, or a sentence about why not."""

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.trainer import dataset, idx
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.errors import DatasetError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny data set, to be spoilt."""
    return shutil.copytree(tiny_folder, tmp_path / "spoilt")


def arrays_of(data: Dataset) -> dict[str, Any]:
    return {
        "x_train": data.train_images,
        "y_train": data.train_labels,
        "x_test": data.test_images,
        "y_test": data.test_labels,
    }


@pytest.mark.mnist
def test_the_published_files(mnist: Path) -> None:
    """They are taken as they are: 60,000 and 10,000 images, checksums right."""
    data = dataset.load(mnist)
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_labels.shape == (10_000,)
    assert data.name == "MNIST"


@pytest.mark.mnist
def test_one_wrong_bit(mnist: Path, tmp_path: Path) -> None:
    """A label of the published files changed: the checksum of that part is wrong, in an npz too."""
    data = dataset.load(mnist)
    labels = data.train_labels.copy()
    labels[59_999] ^= 1
    np.savez(tmp_path / "mnist.npz", **(arrays_of(data) | {"y_train": labels}))
    with pytest.raises(DatasetError, match=r"mnist\.npz\[y_train\]: expected the published MNIST"):
        dataset.load(tmp_path / "mnist.npz")


def test_a_folder(tiny: Dataset, tiny_folder: Path) -> None:
    """Gzipped or not, with either official spelling: the same arrays."""
    data = dataset.load(tiny_folder, verified=False)
    for name, array in arrays_of(tiny).items():
        assert np.array_equal(array, arrays_of(data)[name])
    assert data.name == "tiny"


def test_an_npz(tiny: Dataset, tmp_path: Path) -> None:
    """Keras's own names, labels of any integer type."""
    np.savez(tmp_path / "own.npz", **arrays_of(tiny) | {"y_test": tiny.test_labels.astype(int)})
    data = dataset.load(tmp_path / "own.npz", verified=False)
    assert np.array_equal(data.test_labels, tiny.test_labels)
    assert data.test_labels.dtype == np.uint8


def test_foreign_data_needs_leave(tiny_folder: Path) -> None:
    """Data of the same form that is not MNIST is refused, and the way out is named."""
    with pytest.raises(DatasetError, match=r"expected the published MNIST.*--unverified-data"):
        dataset.load(tiny_folder)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a source Keras downloads; if it cannot, --data is named."""
    backend = pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")

    def fails() -> None:
        raise Exception("URL fetch failure")  # noqa: TRY002  (what Keras raises)

    monkeypatch.setattr(backend.keras.datasets.mnist, "load_data", fails)
    with pytest.raises(DatasetError, match=r"URL fetch failure.*--data"):
        dataset.load()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def truncate_unpacked(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def mislabel(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")


def drop_one(path: Path) -> None:
    idx.write(path, idx.read(path, 1)[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6])


def picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n")


def claim_billions(path: Path) -> None:
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 2**32 - 1))


def other_size(path: Path) -> None:
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 32, 32) + bytes(1024))


def put_labels(path: Path) -> None:
    path.write_bytes((path.parent / TRAIN_LABELS).read_bytes())


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        (TRAIN_IMAGES, truncate, "expected a whole gzip file"),
        (TRAIN_IMAGES, truncate_unpacked, r"expected 470,400 bytes .* came 470,300: truncated"),
        (TRAIN_LABELS, truncate, r"expected 600 bytes .* came 500: truncated"),
        (TRAIN_LABELS, lengthen, r"expected 600 bytes .* came more"),
        (TRAIN_LABELS, mislabel, "expected labels 0 to 9, came 10"),
        (TRAIN_LABELS, drop_one, "expected a label for each of the 600 images .* came 599"),
        (TRAIN_LABELS, empty, "beginning with 00000801.*begins with nothing"),
        (TRAIN_LABELS, cut_header, "expected a header of 8 bytes, came 6"),
        (TRAIN_LABELS, claim_billions, "expected at most 1,000,000 labels, came 4,294,967,295"),
        (TRAIN_IMAGES, picture, r"beginning with 00000803.*begins with 89504e47"),
        (TRAIN_IMAGES, other_size, "expected images of 28x28, came 32x32"),
        (TRAIN_IMAGES, put_labels, "expected IDX images .* came IDX labels"),
        (TRAIN_LABELS, Path.unlink, "expected a file train-labels-idx1-ubyte or .*came none"),
    ],
)
def test_a_spoilt_file(
    folder: Path, name: str, spoil: Callable[[Path], object], complaint: str
) -> None:
    """Truncated, mislabelled or foreign: the file is named, what was expected and what came."""
    spoil(folder / name)
    with pytest.raises(DatasetError, match=rf"spoilt.*{complaint}"):
        dataset.load(folder, verified=False)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"x_test": None}, "none named x_test"),
        ({"x_test": np.zeros((200, 28, 28))}, r"expected uint8\[n, 28, 28\], came float64"),
        ({"x_test": np.zeros((200, 784), np.uint8)}, r"came uint8\[200, 784\]"),
        ({"y_test": np.full(200, 256)}, "expected labels 0 to 9"),
        ({"y_test": np.full(200, -1)}, "expected labels 0 to 9"),
        ({"y_test": np.zeros(200)}, r"expected integers\[n\], came float64"),
        ({"y_test": np.array(["a"] * 200, dtype=object)}, "allow_pickle"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, int)}, "came none"),
    ],
)
def test_a_spoilt_npz(
    tiny: Dataset, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    """Arrays of another form are refused by name; nothing is ever unpickled."""
    spoilt = arrays_of(tiny) | change
    np.savez(
        tmp_path / "spoilt.npz", **{name: each for name, each in spoilt.items() if each is not None}
    )
    with pytest.raises(DatasetError, match=rf"spoilt\.npz.*{complaint}"):
        dataset.load(tmp_path / "spoilt.npz", verified=False)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 half an archive"])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    """Neither a folder nor an npz: said so."""
    (tmp_path / "spoilt.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"spoilt\.npz: expected a folder .* or a whole \.npz"):
        dataset.load(tmp_path / "spoilt.npz")


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    """Said so, by name."""
    with pytest.raises(DatasetError, match="nowhere: expected a folder of IDX files"):
        dataset.load(tmp_path / "nowhere")


@given(
    labels=arrays.arrays(np.uint8, st.integers(1, 50)),
    packed=st.booleans(),
)
def test_idx_round_trip(
    labels: np.ndarray, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is written is read, gzipped or not."""
    path = tmp_path_factory.getbasetemp() / f"labels{'.gz' * packed}"
    idx.write(path, labels)
    assert np.array_equal(idx.read(path, 1), labels)
