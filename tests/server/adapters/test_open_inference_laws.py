"""What is written and read by hand is what protobuf writes and reads."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.adapters.open_inference.messages import MESSAGES
from digitserve.server.adapters.open_inference.requests import Requests
from digitserve.server.adapters.open_inference.responses import OUTPUTS, response
from digitserve.server.engines import Answer

_DTYPES = {"FP32": "<f4", "INT64": "<i8"}


@given(
    images=st.sampled_from([1, 2, 3, 40]),
    names=st.lists(st.sampled_from(list(OUTPUTS)), min_size=1, unique=True),
    version=st.integers(1, 2**40),
    request_id=st.text(max_size=300),
    seed=st.integers(0, 2**32 - 1),
    knows=st.booleans(),
)
def test_an_answer_is_what_protobuf_would_write(
    images: int, names: list[str], version: int, request_id: str, seed: int, knows: bool
) -> None:
    """Byte by byte; and its tensors are the answer's."""
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.ones(10), images).astype(np.float32)
    rejection = chance.random(images, np.float32) if knows else None
    told = response(Answer(probabilities, rejection), tuple(names), version, request_id)
    known = MESSAGES.ModelInferResponse(
        model_name="digits", model_version=str(version), id=request_id
    )
    values = {
        "probabilities": probabilities,
        "digit": probabilities.argmax(axis=1)[:, None],
        "rejection": (1 - probabilities.max(axis=1) if rejection is None else rejection)[:, None],
    }
    for name in names:
        output = OUTPUTS[name]
        known.outputs.add(name=name, datatype=output.datatype, shape=list(values[name].shape))
        known.raw_output_contents.append(values[name].astype(_DTYPES[output.datatype]).tobytes())
    assert told == known.SerializeToString()


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """Right ones, of one image or a few, with what may stand beside."""
    count = draw(st.sampled_from([1, 1, 1, 2]))
    request = MESSAGES.ModelInferRequest(
        model_name="digits",
        model_version=draw(st.sampled_from(["", "1", "stable"])),
        id=draw(st.sampled_from(["", "", "mine"])),
    )
    shape = draw(st.sampled_from([[count, 28, 28], [count, 784]]))
    request.inputs.add(name="pixels", datatype="UINT8", shape=shape)
    for name in draw(st.lists(st.sampled_from(list(OUTPUTS)), max_size=2)):
        request.outputs.add(name=name)
    if draw(st.booleans()):
        request.parameters["priority"].int64_param = draw(st.integers(0, 5))
    pixels = np.random.default_rng(draw(st.integers(0, 999))).integers(0, 256, 784 * count)
    request.raw_input_contents.append(pixels.astype(np.uint8).tobytes())
    return request


@given(st.lists(requests(), min_size=1, max_size=8))
def test_what_is_known_already_is_read_the_same(some: list[Any]) -> None:
    """Whatever came before it, and however often it comes."""
    reader = Requests(most=1024)
    for request in some * 2:
        data = request.SerializeToString()
        read, known = reader.read(data), Requests(most=1024).asked(request)
        assert read.images.tolist() == known.images.tolist()
        assert read[1:] == known[1:]


@given(requests())
def test_bytes_that_look_like_pixels_are_not_taken_for_them(known: Any) -> None:
    """A request whose bytes merely end alike is read as it is."""
    reader = Requests(most=1024)
    reader.read(known.SerializeToString())
    # The pixels of the one are a part of a parameter's text in the other.
    other = MESSAGES.ModelInferRequest()
    other.CopyFrom(known)
    other.ClearField("raw_input_contents")
    other.inputs[0].contents.uint_contents.extend([7] * len(known.raw_input_contents[0]))
    other.parameters["note"].string_param = "\x3a" + "x" * 900
    read = reader.read(other.SerializeToString())
    assert set(read.images.ravel().tolist()) == {7}
