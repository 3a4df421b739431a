"""Answers written by hand say, to the bit, what protobuf's own objects would."""

from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.server import wire
from digitserve.server.engines import Answer
from digitserve.v1 import digits_pb2

DETAILS = st.sampled_from([digits_pb2.DETAIL_BRIEF, digits_pb2.DETAIL_FULL])
NUMBERS = st.integers(0, 2**64 - 1)
CHANCES = st.floats(0, 1, width=32)

_pen = wire.Pen()  # one for all examples, as a server has: what it keeps must not show


@st.composite
def answers(draw: st.DrawFn, most: int = 70) -> Answer:
    """Any numbers from 0 to 1, ties among them; with a rejection of their own or without."""
    images = draw(st.integers(1, most))
    probabilities = draw(arrays.arrays(np.float32, (images, 10), elements=CHANCES))
    rejection = draw(st.none() | arrays.arrays(np.float32, images, elements=CHANCES))
    return Answer(probabilities, rejection)


def said(answer: Answer, detail: int, version: int) -> digits_pb2.PredictResponse:
    """The same by protobuf's objects, number by number."""
    response = digits_pb2.PredictResponse(model_version=version)
    for at, row in enumerate(answer.probabilities):
        digit = int(np.flatnonzero(row == row.max())[0])
        one = response.predictions.add(digit=digit, confidence=float(row[digit]))
        if detail != digits_pb2.DETAIL_BRIEF:
            one.probabilities.extend(row.tolist())
            one.rejection = _unsure(answer.rejection, row, at)
    return response


def _unsure(
    rejection: npt.NDArray[np.float32] | None, row: npt.NDArray[np.float32], at: int
) -> float:
    return float(np.float32(1.0) - row.max() if rejection is None else rejection[at])


@given(answer=answers(), detail=DETAILS, version=NUMBERS)
def test_a_response_is_read_as_protobuf_would_have_written_it(
    answer: Answer, detail: int, version: int
) -> None:
    """One image or many, whole or brief: what is read is written again to the same bytes."""
    written = wire.predict_response(_pen.records(answer, detail), version)
    read = digits_pb2.PredictResponse.FromString(written)
    assert read.SerializeToString() == said(answer, detail, version).SerializeToString()


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), detail=DETAILS, data=st.data())
def test_a_frames_part_of_a_turn_is_a_slice(
    sizes: list[int], detail: int, data: st.DataObject
) -> None:
    """`record_bytes` for each image, in order."""
    images, size = sum(sizes), wire.record_bytes(detail)
    elements = arrays.arrays(np.float32, (images, 10), elements=CHANCES)
    answer = Answer(data.draw(elements))
    records = _pen.records(answer, detail)
    assert len(records) == images * size
    for end, count in zip(accumulate(sizes), sizes, strict=True):
        part = slice(end - count, end)
        written = wire.predict_response(records[part.start * size : part.stop * size], 1)
        assert digits_pb2.PredictResponse.FromString(written) == said(answer.of(part), detail, 1)


@given(
    answer=answers(most=3),
    detail=DETAILS,
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    frame_id=st.text() | st.integers(0, 20_000).map("é".__mul__),
)
def test_a_frames_outcome_is_read_as_protobuf_would_have_written_it(
    answer: Answer, detail: int, numbers: tuple[int, int, int, int], frame_id: str
) -> None:
    """Any name, numbers of any size."""
    sequence, version, wait_us, model_us = numbers
    outcome = wire.outcome(_pen.records(answer, detail), version, wait_us, model_us)
    written = wire.stream_response(sequence, frame_id, outcome)
    expected = digits_pb2.StreamPredictResponse(
        sequence=sequence,
        frame_id=frame_id,
        predicted=said(answer, detail, version),
        wait_us=wait_us,
        model_us=model_us,
    )
    read = digits_pb2.StreamPredictResponse.FromString(written)
    assert read.SerializeToString() == expected.SerializeToString()


@pytest.mark.parametrize(
    "outcome",
    [
        {"failed": status_pb2.Status(code=13, message="é")},
        {"failed": status_pb2.Status()},
        {"skipped": digits_pb2.Skip(reason=digits_pb2.Skip.REASON_EXPIRED)},
    ],
)
@given(sequence=NUMBERS, frame_id=st.text())
def test_what_protobuf_wrote_gets_its_name_and_number(
    outcome: dict[str, object], sequence: int, frame_id: str
) -> None:
    """Of failures and skips."""
    response = digits_pb2.StreamPredictResponse
    bare = response(**outcome).SerializeToString()  # type: ignore[arg-type]
    written = wire.stream_response(sequence, frame_id, bare)
    expected = response(sequence=sequence, frame_id=frame_id, **outcome)  # type: ignore[arg-type]
    assert response.FromString(written) == expected


@given(detail=DETAILS, images=st.integers(1, 3))
def test_a_later_answer_leaves_an_earlier_one_alone(detail: int, images: int) -> None:
    """The sheets are written on again; what was given away is a copy."""
    zeros, ones = (np.full((images, 10), value, np.float32) for value in (0, 1))
    first = _pen.records(Answer(zeros), detail)
    kept = bytes(bytearray(first))
    _pen.records(Answer(ones), detail)
    assert first == kept
