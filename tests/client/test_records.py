"""Predictions read from bytes are those that protobuf reads, or none."""

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from digitserve.client import _messages, _records
from digitserve.server import wire
from digitserve.server.engines import Answer
from digitserve.v1 import digits_pb2


def answered(images: int, version: int, sequence: int, *, seed: int = 0) -> bytes:
    """A response as the server writes it."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(10), images).astype(np.float32)
    records = wire.Pen().records(Answer(probabilities, None), digits_pb2.DETAIL_FULL)
    return wire.stream_response(sequence, "", wire.outcome(records, version, 300, 7))


@given(
    images=st.integers(1, 40),
    version=st.integers(0, 2**40),
    sequence=st.integers(0, 2**40),
    seed=st.integers(0, 9),
)
def test_what_the_server_writes_is_read_as_protobuf_reads_it(
    images: int, version: int, sequence: int, seed: int
) -> None:
    """Each digit, each float, to the bit."""
    data = answered(images, version, sequence, seed=seed)
    read = digits_pb2.StreamPredictResponse.FromString(data)
    assert _records.predictions(data, images) == _messages.predictions(read.predicted)


_PREDICTION = st.builds(
    digits_pb2.Prediction,
    digit=st.integers(0, 300),
    confidence=st.floats(width=32, min_value=0, max_value=1),
    probabilities=st.lists(st.floats(width=32, min_value=0, max_value=1), max_size=11),
    rejection=st.none() | st.floats(width=32, min_value=0, max_value=1),
)


@given(
    told=st.lists(_PREDICTION, max_size=3),
    asked=st.integers(1, 4),
    more=st.fixed_dictionaries({}, optional={"frame_id": st.text(), "sequence": st.integers(0, 9)}),
)
@example(told=[digits_pb2.Prediction(digit=0)], asked=1, more={})
def test_what_others_write_is_read_as_protobuf_reads_it_or_not_at_all(
    told: list[Any], asked: int, more: dict[str, Any]
) -> None:
    """Fields left out, brief answers, another count, a frame's name."""
    response = digits_pb2.StreamPredictResponse(**more)
    response.predicted.predictions.extend(told)
    response.predicted.model_version = 3
    read = _records.predictions(response.SerializeToString(), asked)
    assert read is None or read == _messages.predictions(response.predicted)


@given(st.binary(max_size=200), st.integers(1, 3))
def test_junk_is_left_to_protobuf(data: bytes, asked: int) -> None:
    """Nothing is raised."""
    assert _records.predictions(data, asked) is None


def test_what_is_cut_off_is_left_to_protobuf() -> None:
    """At every byte within the records."""
    data = answered(2, 1, 200)
    whole = len(data) - 5  # the times follow
    assert all(_records.predictions(data[:cut], 2) is None for cut in range(whole))
