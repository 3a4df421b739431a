"""What is read and written by hand says what protobuf says, for any message."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.server.adapters.open_inference.answers import Form, asked_of
from digitserve.server.adapters.open_inference.model import OUTPUTS
from digitserve.server.adapters.open_inference.requests import Kept, taken_apart
from digitserve.server.engines import Answer
from support.open_inference import Request, Response, asked_for

TEXT = st.text(max_size=140)
WIDTHS = {output.name: (output.datatype, output.width) for output in OUTPUTS}
SHARE = st.floats(0, 1, width=32)
NAMES = [output.name for output in OUTPUTS]
PARAMETERS = st.dictionaries(TEXT, st.builds(lambda value: {"string_param": value}, TEXT))
INPUTS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXT, "datatype": TEXT, "shape": st.lists(st.integers(-1, 2**62), max_size=4)}
    ),
    max_size=2,
)
REQUESTS = st.builds(
    Request,
    model_name=TEXT,
    model_version=TEXT,
    id=TEXT,
    parameters=PARAMETERS,
    inputs=INPUTS,
    outputs=st.lists(st.builds(lambda name: {"name": name}, TEXT), max_size=2),
    raw_input_contents=st.lists(st.binary(max_size=20_000), max_size=2),
)


def tensor(name: str, count: int) -> dict[str, Any]:
    """An output of so many images."""
    datatype, width = WIDTHS[name]
    return {"name": name, "datatype": datatype, "shape": [count, width]}


@given(REQUESTS)
def test_a_request_that_is_taken_apart_is_the_same_request(request: Any) -> None:
    """Head, id and values are all that protobuf finds in it; with one tensor it is always done."""
    parts = taken_apart(request.SerializeToString())
    assert (parts is not None) == (len(request.raw_input_contents) == 1)
    if parts is None:
        return
    together = Request.FromString(parts.head)
    assert not together.id
    assert not together.raw_input_contents
    together.id = parts.request_id.decode()
    together.raw_input_contents.append(parts.raw)
    assert together == request


@given(st.lists(st.tuples(REQUESTS, st.lists(TEXT, max_size=4)), max_size=3))
def test_a_question_that_is_known_again_is_the_same_question(asked: list[Any]) -> None:
    """With the id and the values of the request at hand, whatever was asked before."""
    kept: Kept[bytes] = Kept()
    for request, ids in asked:
        for each in (*ids, *ids):
            request.id = each
            sent = request.SerializeToString()
            parts, known = taken_apart(sent), kept.of(sent)
            if parts is None:
                assert known is None
                continue
            assert known in {None, (parts.head, parts.request_id, parts.raw)}
            if kept.of_head(sent, parts) is None:
                kept.keep(sent, parts, parts.head)


@given(REQUESTS, st.data())
def test_bytes_that_are_changed_are_never_read_otherwise(request: Any, data: st.DataObject) -> None:
    """What is taken apart of any bytes, protobuf would read so, or not at all."""
    sent = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        if sent:
            sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    parts = taken_apart(bytes(sent))
    try:
        whole = Request.FromString(bytes(sent))
        head = Request.FromString(parts.head) if parts is not None else None
    except Exception:  # protobuf's own, of whichever implementation: it is asked first, and refuses
        return
    if parts is None or head is None:
        return
    head.id = parts.request_id.decode()
    head.raw_input_contents.append(parts.raw)
    assert head == whole


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 70), st.just(10)), elements=st.floats(0, 1, width=32)
    ),
    st.booleans(),
    st.lists(st.sampled_from(NAMES), max_size=5),
    st.integers(1, 2**40),
    st.text(max_size=200),
)
def test_an_answer_is_what_protobuf_would_write(
    probabilities: Any, knows: bool, names: list[str], version: int, request_id: str
) -> None:
    """Byte for byte; of one image as of many."""
    rejection = probabilities[:, 3].copy() if knows else None
    count, confidence = len(probabilities), probabilities.max(axis=1)
    written = {
        "probabilities": probabilities,
        "digit": probabilities.argmax(axis=1).astype("<i8"),
        "confidence": confidence,
        "rejection": (1.0 - confidence).astype("<f4") if rejection is None else rejection,
    }
    asked = list(dict.fromkeys(names)) or NAMES
    expected = Response(
        model_name="digits",
        model_version=str(version),
        id=request_id,
        outputs=[tensor(name, count) for name in asked],
        raw_output_contents=[written[name].tobytes() for name in asked],
    )
    form = Form(asked_of(Request(outputs=asked_for(*names))), count)
    made = form.written(version, request_id.encode(), Answer(probabilities, rejection))
    assert made == expected.SerializeToString()
