"""Files that are dropped on the page."""

import base64
import gzip
import http.client
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitserve.client.playground import upload
from support.playground import Playing

SAMPLES = Path(__file__).parents[3] / "samples"
PNG = (SAMPLES / "digits/7.png").read_bytes()


def posted(playground: Playing, name: str, content: bytes) -> list[dict[str, Any]]:
    """What comes back for a file, line by line."""
    connection = http.client.HTTPConnection(playground.host, timeout=60)
    origin = {"Origin": f"http://{playground.host}"}
    connection.request("POST", f"/upload?name={name}", content, origin)
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return [json.loads(line) for line in lines]


def test_a_picture(playground: Playing) -> None:
    """Read, and shown as the model saw it."""
    images, end = posted(playground, "7.png", PNG)
    assert (images["names"], images["digits"]) == (["7.png"], [7])
    assert len(base64.b64decode(images["pixels"])) == 784
    assert end == {"labels": None, "alone": False, "count": 1, "more": False}


def test_an_array_and_the_labels_beside_it(playground: Playing) -> None:
    """Two files; the second holds nothing but labels."""
    images, end = posted(playground, "digits.npy", (SAMPLES / "digits.npy").read_bytes())
    (labels,) = posted(playground, "labels.npy", (SAMPLES / "labels.npy").read_bytes())
    assert end["count"] == 50
    assert labels["alone"]
    assert labels["labels"] == images["digits"]


def test_an_archive_with_its_labels(playground: Playing) -> None:
    """As Keras publishes MNIST."""
    packed = io.BytesIO()
    digits, labels = np.load(SAMPLES / "digits.npy"), np.load(SAMPLES / "labels.npy")
    np.savez(packed, x_test=digits, y_test=labels)
    images, end = posted(playground, "mnist.npz", packed.getvalue())
    assert images["names"][3] == "mnist.npz:x_test[3]"
    assert end["labels"] == labels.tolist()


def _saved(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def test_an_image_that_was_saved_flat(playground: Playing) -> None:
    """784 bytes are one, and not that many labels; 784 integers can be labels alone."""
    flat = np.load(SAMPLES / "digits.npy")[0].reshape(784)
    images, end = posted(playground, "flat.npy", _saved(flat))
    assert len(images["digits"]) == 1
    assert not end["alone"]
    (labels,) = posted(playground, "labels.npy", _saved(np.arange(784) % 10))
    assert (labels["alone"], len(labels["labels"])) == (True, 784)


def test_idx_labels_gzipped(playground: Playing) -> None:
    """As MNIST itself is published."""
    content = gzip.compress(b"\0\0\x08\x01\0\0\0\x03\x07\x02\x01")
    (end,) = posted(playground, "t10k-labels-idx1-ubyte.gz", content)
    assert (end["labels"], end["alone"]) == ([7, 2, 1], True)


def test_no_more_than_a_page_can_show(playground: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones, and that there were more."""
    monkeypatch.setattr(upload, "MAX_IMAGES", 20)
    images, end = posted(playground, "digits.npy", (SAMPLES / "digits.npy").read_bytes())
    assert len(images["digits"]) == 20
    assert (end["count"], end["more"]) == (20, True)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("notes.txt", b"hello", "nothing known; expected a picture"),
        ("empty.png", b"", "an empty file"),
        ("broken.png", PNG[: len(PNG) // 2], "cannot be read as a picture"),
        ("labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x0a", "labels of 0 to 9, got 10"),
        ("32.npy", None, "an array of shape [2, 32, 32]"),
        ("a/../../b.npy", b"\x93NUMPY", "b.npy: an unknown version"),
    ],
)
def test_what_is_no_image(playground: Playing, name: str, content: bytes | None, why: str) -> None:
    """Is told, by the file's own name."""
    if content is None:
        packed = io.BytesIO()
        np.save(packed, np.zeros((2, 32, 32), np.uint8))
        content = packed.getvalue()
    (said,) = posted(playground, name, content)
    assert said["error"].startswith(Path(name).name)
    assert why in said["error"]


def test_a_file_that_is_too_large(playground: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not kept."""
    monkeypatch.setattr(upload, "_MAX_BYTES", 1 << 20)
    (said,) = posted(playground, "big.npy", bytes((1 << 20) + 1))
    assert "expected at most 1 MB" in said["error"]


def test_labels_that_unpack_to_very_much(playground: Playing) -> None:
    """No more of them is unpacked than labels can be."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("x_test", np.zeros((1, 28, 28), np.uint8)), ("y_test", None)):
            content = io.BytesIO()
            np.save(content, np.zeros(1 << 26, np.uint8) if array is None else array)
            archive.writestr(f"{name}.npy", content.getvalue())
    _, end = posted(playground, "bomb.npz", packed.getvalue())
    assert end["labels"] == [0]
