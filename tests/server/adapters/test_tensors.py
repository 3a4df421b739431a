"""Tensors are read to the same images whichever way they are sent."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.server.adapters.tensorflow_serving.tensors import images_of
from support.tensorflow_serving import WAYS, predict_request

IMAGES = st.integers(1, 3).flatmap(lambda count: arrays.arrays(np.uint8, (count, 28, 28)))


@given(images=IMAGES, way=st.sampled_from(WAYS), flat=st.booleans())
def test_whatever_is_sent_is_read(
    images: npt.NDArray[np.uint8], way: tuple[int, str], flat: bool
) -> None:
    """Every level of every pixel, as bytes or floats, packed or typed."""
    shape = (len(images), 784) if flat else images.shape
    tensor = predict_request(images, way, shape).inputs["images"]
    assert np.array_equal(images_of(tensor, "images", 3), images)


@given(data=st.binary(max_size=64), way=st.sampled_from(WAYS))
def test_no_bytes_make_it_stumble(data: bytes, way: tuple[int, str]) -> None:
    """Whatever `tensor_content` is: too short to be an image, so refused, unless there is none."""
    tensor = predict_request(np.zeros((1, 28, 28), np.uint8), way).inputs["images"]
    tensor.tensor_content = data
    if data:
        with pytest.raises(Exception, match="tensor parsing error"):
            images_of(tensor, "images", 1)
    else:
        assert not images_of(tensor, "images", 1).any()
