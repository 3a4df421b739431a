"""Whatever a caller calls an image: the same bytes on the wire, or InvalidImage."""

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.client import InvalidImage
from digitserve.client._pixels import any_images, many_images, one_image
from digitserve.v1 import digits_pb2

UINT8 = digits_pb2.PIXEL_ENCODING_UINT8
FLOAT32 = digits_pb2.PIXEL_ENCODING_FLOAT32

images = arrays.arrays(np.uint8, (28, 28))


@given(image=images)
def test_every_form_of_an_image_is_the_same_image(image: np.ndarray) -> None:
    """bytes, bytearray, memoryview, array, flat, with a channel axis, or out of order in memory."""
    expected = image.tobytes()
    forms: list[object] = [
        image,
        expected,
        bytearray(expected),
        memoryview(expected),
        array("B", expected),
        image.reshape(784),
        image.reshape(28, 28, 1),
        image[None],
        np.asfortranarray(image),
        np.repeat(image, 2, axis=1)[:, ::2],
    ]
    for form in forms:
        pixels = one_image(form)
        assert (pixels.data, pixels.count, pixels.encoding) == (expected, 1, UINT8)


@given(image=arrays.arrays(np.float64, (28, 28), elements=st.floats(0, 1)))
def test_floats_travel_as_float32(image: np.ndarray) -> None:
    """Little-endian, whatever their width here."""
    expected = image.astype("<f4").tobytes()
    for form in (image, image.astype(np.float32)):
        pixels = one_image(form)
        assert (pixels.data, pixels.encoding) == (expected, FLOAT32)


@given(batch=arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(28), st.just(28))))
def test_every_form_of_a_batch_is_the_same_batch(batch: np.ndarray) -> None:
    """One array, a list, an iterator; and as a frame."""
    expected = (batch.tobytes(), len(batch), UINT8)
    for form in (batch, list(batch), iter(batch), batch[..., None], batch.reshape(-1, 784)):
        pixels = many_images(form)
        assert (pixels.data, pixels.count, pixels.encoding) == expected
    assert any_images(batch).data == batch.tobytes()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"", "got 0 uint8 values"),
        (bytes(783), "got 783 uint8 values"),
        (np.zeros((32, 32), np.uint8), r"got uint8 of shape \(32, 32\)"),
        (np.zeros((28, 28, 3), np.uint8), r"got uint8 of shape \(28, 28, 3\)"),
        (np.zeros((28, 28), np.int64), "uint8 or float pixels"),
        ("a path?", "got str"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image: object, said: str) -> None:
    """Saying what was expected and what came."""
    with pytest.raises(InvalidImage, match=said):
        one_image(image)


@pytest.mark.parametrize("batch", [[], np.zeros((0, 28, 28), np.uint8), [bytes(783)], 7])
def test_what_is_no_batch_is_refused(batch: object) -> None:
    """Nothing at all, or something among it that is no image."""
    with pytest.raises(InvalidImage):
        many_images(batch)


def test_images_of_two_kinds_do_not_share_a_message() -> None:
    """There is one encoding for all of them."""
    with pytest.raises(InvalidImage, match="uint8 and float together"):
        many_images([bytes(784), np.zeros((28, 28))])
