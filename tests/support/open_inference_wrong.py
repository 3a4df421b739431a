"""Requests of the Open Inference Protocol that are wrong, and how each is refused.

`scripts/neighbours_codes.py` asks the real Triton the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from support.open_inference import Request

_SHAPE = "unexpected shape for input 'pixels' for model 'digits'. Expected [-1,28,28], got "
_NOTE = ". NOTE: [28,28], [-1,28,28,1] and [-1,784] are taken too."
_SIZE = "input byte size mismatch for input 'pixels' for model 'digits'. Expected 784, got "
_TENSOR: dict[str, Any] = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28]}


@dataclass(frozen=True)
class Case:
    """A request that is wrong.

    Attributes:
        fields: of the request, which are other than they should be.
        code: with which it is refused.
        text: what is said.
        triton: the code of the real Triton, if it is another one.
    """

    fields: dict[str, Any]
    code: str
    text: str
    triton: str = ""


def wrong_request(case: Case) -> Any:
    """The request; all that is not wrong in it is right."""
    fields = {"model_name": "digits", "id": "7", "inputs": [_TENSOR]} | case.fields
    return Request(**{"raw_input_contents": [bytes(784)]} | fields)


def tensor(**fields: Any) -> dict[str, Any]:
    """An input that is wrong."""
    return {"inputs": [_TENSOR | fields]}


def asked(classes: dict[str, Any], output: str) -> dict[str, Any]:
    """So many classes of an output."""
    return {"outputs": [{"name": output, "parameters": {"classification": classes}}]}


def typed(contents: dict[str, Any]) -> dict[str, Any]:
    """Values that are no raw bytes, and wrong."""
    return tensor(contents=contents) | {"raw_input_contents": []}


CASES = {
    "unknown model": Case({"model_name": "nope"}, "NOT_FOUND",
        "Request for unknown model: 'nope' is not found"),
    "unknown version": Case({"model_version": "99"}, "NOT_FOUND",
        "Request for unknown model: 'digits' version 99 is not found"),
    "unknown label": Case({"model_version": "canary"}, "NOT_FOUND",
        "Request for unknown model: 'digits' version canary is not found",
        triton="INVALID_ARGUMENT"),
    "negative version": Case({"model_version": "-1"}, "INVALID_ARGUMENT",
        "invalid model version specified '-1' , version should be an integral value > 0"),
    "huge version": Case({"model_version": "9" * 20}, "INVALID_ARGUMENT",
        f"failed to get model version from specified version string '{'9' * 20}' "
        "(details: stol), version should be an integral value > 0"),
    "wrong input name": Case(tensor(name="image"), "INVALID_ARGUMENT",
        "unexpected inference input 'image' for model 'digits'"),
    "no input": Case({"inputs": []}, "INVALID_ARGUMENT",
        "[request id: 7] expected 1 inputs but got 0 inputs for model 'digits'. Got input(s) [], "
        "but missing required input(s) ['pixels']. Please provide all required input(s)."),
    "too many inputs": Case({"inputs": [_TENSOR, _TENSOR | {"name": "more"}]}, "INVALID_ARGUMENT",
        "[request id: 7] expected 1 inputs but got 2 inputs for model 'digits'. Got input(s) "
        "['more','pixels'], but missing required input(s) []. Please provide all required "
        "input(s)."),
    "the input twice": Case({"inputs": [_TENSOR, _TENSOR]}, "INVALID_ARGUMENT",
        "[request id: 7] input 'pixels' already exists in request"),
    "wrong shape": Case(tensor(shape=[1, 32, 32]), "INVALID_ARGUMENT",
        f"[request id: 7] {_SHAPE}[1,32,32]{_NOTE}"),
    "negative shape": Case(tensor(shape=[-1, 28, 28]), "INVALID_ARGUMENT",
        f"[request id: 7] {_SHAPE}[-1,28,28]{_NOTE}"),
    "no shape": Case(tensor(shape=[]), "INVALID_ARGUMENT",
        "[request id: 7] input 'pixels' has no shape but model requires batch dimension for "
        "'digits'"),
    "too many images": Case(tensor(shape=[1025, 28, 28]), "INVALID_ARGUMENT",
        "[request id: 7] inference request batch-size must be <= 1024 for 'digits'"),
    "other datatype": Case(tensor(datatype="INT32"), "INVALID_ARGUMENT",
        "[request id: 7] inference input 'pixels' data-type is 'INT32', but model 'digits' expects "
        "'UINT8' or 'FP32'"),
    "no datatype": Case(tensor(datatype="UINT9"), "INVALID_ARGUMENT",
        "[request id: 7] inference input 'pixels' data-type is '<invalid>', but model 'digits' "
        "expects 'UINT8' or 'FP32'"),
    "raw and typed": Case(tensor(contents={"uint_contents": [0]}), "INVALID_ARGUMENT",
        "contents field must not be specified when using raw_input_contents for 'pixels' for model "
        "'digits'"),
    "raw too short": Case({"raw_input_contents": [bytes(783)]}, "INVALID_ARGUMENT",
        f"[request id: 7] {_SIZE}783"),
    "raw too long": Case({"raw_input_contents": [bytes(785)]}, "INVALID_ARGUMENT",
        f"[request id: 7] {_SIZE}785"),
    "raw surplus": Case({"raw_input_contents": [bytes(784)] * 2}, "INVALID_ARGUMENT",
        "expected 1 raw_input_contents but got 2 for model 'digits'", triton="OK"),
    "no content": Case({"raw_input_contents": []}, "INVALID_ARGUMENT",
        "unable to find data for input tensor 'pixels' for model 'digits' in request."),
    "floats of 0 to 255": Case(
        tensor(datatype="FP32")
        | {"raw_input_contents": [np.full(784, 255, "<f4").tobytes()]},
        "INVALID_ARGUMENT",
        "pixels: expected floats from 0.0 to 1.0, got 255.0 (image 0, pixel 0); divide by 255, or "
        "send uint8"),
    "unknown output": Case({"outputs": [{"name": "nope"}]}, "INVALID_ARGUMENT",
        "unexpected inference output 'nope' for model 'digits'"),
    "classes of a digit": Case(
        asked({"int64_param": 1}, "digit"),
        "UNIMPLEMENTED", "classification is of 'probabilities' only, not of 'digit'",
        triton="INVALID_ARGUMENT"),
    "no classes": Case(
        asked({"int64_param": 0}, "probabilities"),
        "INVALID_ARGUMENT", "invalid value for 'classification' parameter, expected >= 0"),
    "classes as text": Case(
        asked({"string_param": "1"}, "probabilities"),
        "INVALID_ARGUMENT",
        "invalid value type for 'classification' parameter, expected int64_param"),
    "shared memory": Case(
        tensor(parameters={"shared_memory_region": {"string_param": "r"}}), "UNIMPLEMENTED",
        "shared memory is not supported here, for tensor 'pixels'", triton="INVALID_ARGUMENT"),
    "reserved parameter": Case(
        {"parameters": {"triton_x": {"bool_param": True}}}, "INVALID_ARGUMENT",
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following "
        "keys starting with 'triton_' are allowed: triton_enable_empty_final_response"),
    "parameter of another type": Case({"parameters": {"timeout": {"bool_param": True}}},
        "INVALID_ARGUMENT", "invalid value type for 'timeout' parameter, expected int64_param."),
    "parameter without a value": Case({"parameters": {"mine": {}}}, "INVALID_ARGUMENT",
        "invalid value type for 'mine' parameter, expected int64_param, bool_param, or "
        "string_param."),
    "typed, too few": Case(typed({"uint_contents": [0] * 783}), "INVALID_ARGUMENT",
        f"[request id: 7] {_SIZE}783"),
    "typed, none": Case(typed({}), "INVALID_ARGUMENT", f"[request id: 7] {_SIZE}0"),
    "typed, of another type": Case(typed({"fp32_contents": [0]}), "INVALID_ARGUMENT",
        "unexpected explicit tensor data for input tensor 'pixels' for model 'digits' of type "
        "'FP32', expected datatype 'UINT8'"),
    "typed, in two lists": Case(
        typed({"uint_contents": [0], "fp32_contents": [0]}), "INVALID_ARGUMENT",
        "unexpected explicit tensor data for input tensor 'pixels' for model 'digits', binary data "
        "was already supplied."),
    "typed, over 255": Case(typed({"uint_contents": [256] * 784}), "INVALID_ARGUMENT",
        "expected uint_contents from 0 to 255 for a UINT8 tensor, got 256", triton="OK"),
}  # fmt: skip
