"""ModelInfer: tensors in and out, and what is refused, in the words of the real Triton."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.open_inference import Asking, asked_for, infer_request, refused
from support.open_inference_wrong import CASES, wrong_request
from support.serving import TEST_CONFIG, Serving, versions_of
from support.serving import serving as up_with

THREE = b"".join(map(image_of, (3, 1, 4)))


DOCS = Path(__file__).parents[3] / "docs/neighbours.md"


def values(response: Any) -> dict[str, Any]:
    """The outputs as arrays."""
    kinds = {"FP32": "<f4", "INT64": "<i8"}
    return {
        output.name: np.frombuffer(raw, kinds[output.datatype]).reshape(list(output.shape))
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def test_it_answers_as_predict_does(serving: Serving) -> None:
    """To the bit, whatever engine runs the network, with every adapter on."""
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    with serving.channel() as channel, serving.digits() as stub:
        response = Asking(channel).infer(infer_request(images.tobytes(), shape=[3, 28, 28]))
        expected = stub.Predict(digits_pb2.PredictRequest(pixels=images.tobytes(), count=3))
    told = values(response)
    assert response.model_version == str(expected.model_version)
    assert [output.name for output in response.outputs] == [
        "probabilities", "digit", "confidence", "rejection",
    ]  # fmt: skip
    for at, each in enumerate(expected.predictions):
        assert told["probabilities"][at].tolist() == list(each.probabilities)
        assert told["digit"][at].tolist() == [each.digit]
        assert told["confidence"][at].tolist() == [each.confidence]
        assert told["rejection"][at].tolist() == [pytest.approx(each.rejection)]


@pytest.mark.parametrize(
    "shape", [[3, 28, 28], [3, 28, 28, 1], [3, 784]], ids=["lines", "grey lines", "flat"]
)
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
@pytest.mark.parametrize("typed", [False, True], ids=["raw", "typed"])
def test_every_way_of_sending_images(
    asking: Asking, shape: list[int], datatype: str, typed: bool
) -> None:
    """Whichever shape and datatype, in `contents` or as raw bytes."""
    levels: Any = np.frombuffer(THREE, np.uint8)
    if datatype == "FP32":
        levels = (levels / 255).astype("<f4")
    request = infer_request(levels.tobytes(), shape=shape, datatype=datatype)
    if typed:
        del request.raw_input_contents[:]
        name = "fp32_contents" if datatype == "FP32" else "uint_contents"
        getattr(request.inputs[0].contents, name).extend(levels.tolist())
    assert values(asking.infer(request))["digit"].tolist() == [[3], [1], [4]]


def test_an_image_needs_no_batch(asking: Asking) -> None:
    """Of shape [28, 28] it is a batch of one."""
    response = asking.infer(infer_request(image_of(7), shape=[28, 28], id="seven"))
    assert (response.id, response.model_name, response.model_version) == ("seven", "digits", "1")
    assert values(response)["probabilities"].shape == (1, 10)
    assert values(response)["digit"].tolist() == [[7]]


@pytest.mark.parametrize("images", [1, 3])
def test_outputs_come_as_they_are_asked_for(asking: Asking, images: int) -> None:
    """Those alone, in that order, each once."""
    pixels, shape = THREE[: 784 * images], [images, 28, 28]
    everything = values(asking.infer(infer_request(pixels, shape=shape)))
    for names in permutations(everything, 2):
        outputs = asked_for(*names, names[0])
        told = values(asking.infer(infer_request(pixels, shape=shape, outputs=outputs)))
        assert tuple(told) == names
        assert all(told[name].tobytes() == everything[name].tobytes() for name in names)


def test_classes_are_told_as_triton_tells_them(asking: Asking) -> None:
    """The likeliest digits, each as its probability and itself."""
    outputs = [{"name": "probabilities", "parameters": {"classification": {"int64_param": 2}}}]
    response = asking.infer(infer_request(image_of(6), outputs=outputs))
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == ("BYTES", [1, 2])
    assert response.raw_output_contents[0] == b"\n\0\0\x000.910000:6\n\0\0\x000.010000:0"


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.text(max_size=8),
    st.sampled_from(["", "1", "stable"]),
)
def test_the_same_question_again_is_answered_anew(
    ink: Serving, digits: list[int], name: str, version: str
) -> None:
    """Nothing of one call is in the answer of another, whatever was kept of the question."""
    with ink.channel() as channel:
        for digit in digits[:3]:
            request = infer_request(image_of(digit), id=name, model_version=version)
            response = Asking(channel).infer(request)
            assert (response.id, values(response)["digit"].tolist()) == (name, [[digit]])


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_refused_in_triton_s_words(ink: Serving, name: str) -> None:
    """With its code; and again when it is asked again."""
    case = CASES[name]
    for _ in range(2):
        assert refused(ink, wrong_request(case)) == (case.code, case.text)


def test_long_names_are_cut(ink: Serving) -> None:
    """An error travels in a trailer, and clients take no long ones."""
    code, text = refused(ink, infer_request(model_name="n" * 5000))
    assert code == "NOT_FOUND"
    assert text == f"Request for unknown model: '{'n' * 64}...' is not found"


def test_parameters_that_nobody_knows_are_left_alone(asking: Asking) -> None:
    """A model may know them; of those that Triton knows none changes anything here."""
    known = {
        "sequence_id": {"int64_param": 7},
        "sequence_start": {"bool_param": True},
        "priority": {"uint64_param": 1},
        "timeout": {"int64_param": 1},
        "mine": {"string_param": "x"},
    }
    response = asking.infer(infer_request(image_of(2), parameters=known))
    assert values(response)["digit"].tolist() == [[2]]


def test_bytes_that_are_no_message_are_said_to_be_none(ink: Serving) -> None:
    """Also when all that is wrong is the id, which is read by hand."""
    good = infer_request(id="a").SerializeToString()
    assert refused(ink, infer_request())[0] == "OK"
    for bad in (b"\xff\xff", good[:-1], good.replace(b"\x1a\x01a", b"\x1a\x01\xff")):
        code, text = refused(ink, bad)
        assert code == "INVALID_ARGUMENT", bad[:40]
        assert "UTF-8" in text or "expected a ModelInferRequest" in text


def test_it_can_be_switched_off() -> None:
    """Then nobody knows the method."""
    off = replace(TEST_CONFIG, open_inference=False)
    with (
        up_with(off, versions_of(InkEngine())) as up,
        up.channel() as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        Asking(channel).ask("ServerLive")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_is_written_down(name: str) -> None:
    """In the docs, with Triton's code beside ours."""
    case = CASES[name]
    row = f"| {name} | `{case.code}` | `{case.triton or case.code}` | {case.text} |"
    assert row in DOCS.read_text(encoding="utf-8").splitlines()
