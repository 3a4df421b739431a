"""ModelInfer: tensors in and out, and what is refused, in the words of the real Triton."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2
from support.engines import InkEngine, image_of
from support.open_inference import Asking, Request, asked_for, infer_request, refused
from support.serving import TEST_CONFIG, Serving, versions_of
from support.serving import serving as up_with

THREE = b"".join(map(image_of, (3, 1, 4)))
SHAPE = "unexpected shape for input 'pixels' for model 'digits'. Expected [-1,28,28], got "
NOTE = ". NOTE: [28,28], [-1,28,28,1] and [-1,784] are taken too."
SIZE = "input byte size mismatch for input 'pixels' for model 'digits'. Expected 784, got "
TENSOR = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28]}


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


def wrong_tensor(**fields: Any) -> dict[str, Any]:
    """The fields of a request whose only input is a wrong one."""
    return {"inputs": [TENSOR | fields]}


# Name: what is other than it should be, the code, and the text.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown model": ({"model_name": "nope"}, "NOT_FOUND",
        "Request for unknown model: 'nope' is not found"),
    "unknown version": ({"model_version": "99"}, "NOT_FOUND",
        "Request for unknown model: 'digits' version 99 is not found"),
    "unknown label": ({"model_version": "canary"}, "NOT_FOUND",
        "Request for unknown model: 'digits' version canary is not found"),
    "negative version": ({"model_version": "-1"}, "INVALID_ARGUMENT",
        "invalid model version specified '-1' , version should be an integral value > 0"),
    "huge version": ({"model_version": "9" * 5000}, "INVALID_ARGUMENT",
        f"failed to get model version from specified version string '{'9' * 64}...' "
        "(details: stol), version should be an integral value > 0"),
    "wrong input name": (wrong_tensor(name="image"), "INVALID_ARGUMENT",
        "unexpected inference input 'image' for model 'digits'"),
    "no input": ({"inputs": []}, "INVALID_ARGUMENT",
        "[request id: 7] expected 1 inputs but got 0 inputs for model 'digits'. Got input(s) [], "
        "but missing required input(s) ['pixels']. Please provide all required input(s)."),
    "too many inputs": ({"inputs": [TENSOR, TENSOR | {"name": "more"}]}, "INVALID_ARGUMENT",
        "[request id: 7] expected 1 inputs but got 2 inputs for model 'digits'. Got input(s) "
        "['more','pixels'], but missing required input(s) []. Please provide all required "
        "input(s)."),
    "the input twice": ({"inputs": [TENSOR, TENSOR]}, "INVALID_ARGUMENT",
        "[request id: 7] input 'pixels' already exists in request"),
    "wrong shape": (wrong_tensor(shape=[1, 32, 32]), "INVALID_ARGUMENT",
        f"[request id: 7] {SHAPE}[1,32,32]{NOTE}"),
    "negative shape": (wrong_tensor(shape=[-1, 28, 28]), "INVALID_ARGUMENT",
        f"[request id: 7] {SHAPE}[-1,28,28]{NOTE}"),
    "no shape": (wrong_tensor(shape=[]), "INVALID_ARGUMENT",
        "[request id: 7] input 'pixels' has no shape but model requires batch dimension for "
        "'digits'"),
    "too many images": (wrong_tensor(shape=[1025, 28, 28]), "INVALID_ARGUMENT",
        "[request id: 7] inference request batch-size must be <= 1024 for 'digits'"),
    "other datatype": (wrong_tensor(datatype="INT32"), "INVALID_ARGUMENT",
        "[request id: 7] inference input 'pixels' data-type is 'INT32', but model 'digits' expects "
        "'UINT8' or 'FP32'"),
    "no datatype": (wrong_tensor(datatype="UINT9"), "INVALID_ARGUMENT",
        "[request id: 7] inference input 'pixels' data-type is '<invalid>', but model 'digits' "
        "expects 'UINT8' or 'FP32'"),
    "raw and typed": (wrong_tensor(contents={"uint_contents": [0]}), "INVALID_ARGUMENT",
        "contents field must not be specified when using raw_input_contents for 'pixels' for model "
        "'digits'"),
    "raw too short": ({"raw_input_contents": [bytes(783)]}, "INVALID_ARGUMENT",
        f"[request id: 7] {SIZE}783"),
    "raw too long": ({"raw_input_contents": [bytes(785)]}, "INVALID_ARGUMENT",
        f"[request id: 7] {SIZE}785"),
    "raw surplus": ({"raw_input_contents": [bytes(784)] * 2}, "INVALID_ARGUMENT",
        "expected 1 raw_input_contents but got 2 for model 'digits'"),
    "no content": ({"raw_input_contents": []}, "INVALID_ARGUMENT",
        "unable to find data for input tensor 'pixels' for model 'digits' in request."),
    "floats of 0 to 255": (
        wrong_tensor(datatype="FP32")
        | {"raw_input_contents": [np.full(784, 255, "<f4").tobytes()]},
        "INVALID_ARGUMENT",
        "pixels: expected floats from 0.0 to 1.0, got 255.0 (image 0, pixel 0); divide by 255, or "
        "send uint8"),
    "unknown output": ({"outputs": [{"name": "nope"}]}, "INVALID_ARGUMENT",
        "unexpected inference output 'nope' for model 'digits'"),
    "classes of a digit": (
        {"outputs": [{"name": "digit", "parameters": {"classification": {"int64_param": 1}}}]},
        "UNIMPLEMENTED", "classification is of 'probabilities' only, not of 'digit'"),
    "no classes": (
        {"outputs": [{"name": "digit", "parameters": {"classification": {"int64_param": 0}}}]},
        "INVALID_ARGUMENT", "invalid value for 'classification' parameter, expected >= 0"),
    "classes as text": (
        {"outputs": [{"name": "digit", "parameters": {"classification": {"string_param": "1"}}}]},
        "INVALID_ARGUMENT",
        "invalid value type for 'classification' parameter, expected int64_param"),
    "shared memory": (
        wrong_tensor(parameters={"shared_memory_region": {"string_param": "r"}}), "UNIMPLEMENTED",
        "shared memory is not supported here, for tensor 'pixels'"),
    "reserved parameter": ({"parameters": {"triton_x": {"bool_param": True}}}, "INVALID_ARGUMENT",
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following "
        "keys starting with 'triton_' are allowed: triton_enable_empty_final_response"),
    "parameter of another type": ({"parameters": {"timeout": {"bool_param": True}}},
        "INVALID_ARGUMENT", "invalid value type for 'timeout' parameter, expected int64_param."),
    "parameter without a value": ({"parameters": {"mine": {}}}, "INVALID_ARGUMENT",
        "invalid value type for 'mine' parameter, expected int64_param, bool_param, or "
        "string_param."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_in_triton_s_words(ink: Serving, name: str) -> None:
    """With its code; and again when it is asked again."""
    fields, code, text = WRONG[name]
    request = Request(**{"model_name": "digits", "id": "7", "inputs": [TENSOR]} | fields)
    if "raw_input_contents" not in fields:
        request.raw_input_contents.append(bytes(784))
    for _ in range(2):
        assert refused(ink, request) == (code, text)


TYPED_WRONG = {
    "too few": ({"uint_contents": [0] * 783}, f"[request id: <id_unknown>] {SIZE}783"),
    "none": ({}, f"[request id: <id_unknown>] {SIZE}0"),
    "of another type": ({"fp32_contents": [0]},
        "unexpected explicit tensor data for input tensor 'pixels' for model 'digits' of type "
        "'FP32', expected datatype 'UINT8'"),
    "in two lists": ({"uint_contents": [0], "fp32_contents": [0]},
        "unexpected explicit tensor data for input tensor 'pixels' for model 'digits', binary data "
        "was already supplied."),
    "over 255": ({"uint_contents": [256] * 784},
        "expected uint_contents from 0 to 255 for a UINT8 tensor, got 256"),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPED_WRONG)
def test_typed_values_that_are_wrong_are_refused(ink: Serving, name: str) -> None:
    """As raw ones are; without an id Triton says that it knows none."""
    contents, text = TYPED_WRONG[name]
    request = infer_request(None, inputs=[TENSOR | {"contents": contents}])
    assert refused(ink, request) == ("INVALID_ARGUMENT", text)


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
