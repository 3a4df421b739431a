"""The protocol's JSON, and its binary tensors, as the messages that gRPC has.

With `Inference-Header-Content-Length` the body begins with so many bytes of JSON; after them come
the tensors that say `binary_data_size`, one after the other.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import numpy as np

from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.errors import BadField

# How each type of tensor lies in its bytes.
_DTYPES = {"UINT8": "u1", "FP32": "<f4", "INT64": "<i8"}


def object_of(text: bytes) -> dict[str, Any]:
    """What a JSON text says.

    Raises:
        BadField: if it is none, or no object.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadField("body", "NOT_JSON", f"expected JSON: {error}") from None
    return _object(told, "body")


def request_of(told: dict[str, Any], binary: bytes, model: str, version: str) -> Any:
    """A ModelInferRequest.

    Args:
        told: the JSON.
        binary: what comes after it.
        model: the model's name, as the path says it.
        version: the version's; empty: none.

    Raises:
        BadField: naming what was expected and what came.
    """
    request = message("ModelInferRequest")(
        model_name=model, model_version=version, id=_text(told.get("id", ""), "id")
    )
    _pass_on(told, request, "binary_data_output")
    for at, each in enumerate(_list(told.get("inputs", []), "inputs")):
        where = f"inputs[{at}]"
        sent = _object(each, where)
        tensor = request.inputs.add(
            name=_text(sent.get("name", ""), f"{where}.name"),
            datatype=_text(sent.get("datatype", ""), f"{where}.datatype"),
            shape=_shape(sent.get("shape", []), f"{where}.shape"),
        )
        size = _pass_on(sent, tensor, "binary_data_size", where)
        if size is not None:
            content, binary = _cut(binary, size, where)
        elif "data" in sent:
            content = _content(sent["data"], tensor, where)
        else:
            continue
        request.raw_input_contents.append(content)
    if binary:
        why = f"expected no more than the tensors, got {len(binary)} bytes after them"
        raise BadField("body", "CONTENT_SURPLUS", why)
    for at, each in enumerate(_list(told.get("outputs", []), "outputs")):
        where = f"outputs[{at}]"
        sent = _object(each, where)
        output = request.outputs.add(name=_text(sent.get("name", ""), f"{where}.name"))
        _pass_on(sent, output, "binary_data", where)
    return request


def wants_binary(told: dict[str, Any]) -> tuple[bool, dict[str, bool]]:
    """Whether outputs are wanted as bytes: of all that do not say, and of those that do."""
    overall = _object(told.get("parameters", {}), "parameters").get("binary_data_output", False)
    named = {}
    for each in _list(told.get("outputs", []), "outputs"):
        said = _object(each, "outputs").get("parameters", {})
        if "binary_data" in _object(said, "outputs.parameters"):
            named[str(each.get("name", ""))] = bool(said["binary_data"])
    return bool(overall), named


def response_of(data: bytes, overall: bool, named: dict[str, bool]) -> tuple[bytes, bytes]:
    """The JSON of a ModelInferResponse, and the tensors that are wanted as bytes."""
    response = message("ModelInferResponse").FromString(data)
    outputs, binary = [], []
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        told: dict[str, Any] = {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "datatype": tensor.datatype,
        }
        if named.get(tensor.name, overall):
            told["parameters"] = {"binary_data_size": len(raw)}
            binary.append(raw)
        elif tensor.datatype == "BYTES":
            told["data"] = list(_texts(raw))
        else:
            told["data"] = np.frombuffer(raw, _DTYPES[tensor.datatype]).tolist()
        outputs.append(told)
    said: dict[str, Any] = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "outputs": outputs,
    }
    if response.id:
        said["id"] = response.id
    return json.dumps(said).encode(), b"".join(binary)


def _cut(binary: bytes, size: object, where: str) -> tuple[bytes, bytes]:
    if not _is_whole(size) or not 0 <= size <= len(binary):
        raise BadField(
            f"{where}.parameters.binary_data_size",
            "BINARY_SIZE",
            f"expected at most the {len(binary)} bytes that came, got {size!r:.80}",
        )
    return binary[:size], binary[size:]


def _texts(raw: bytes) -> Iterator[str]:
    """The texts of a tensor, each after its length in four bytes."""
    at = 0
    while at < len(raw):
        begin = at + 4
        at = begin + int.from_bytes(raw[at:begin], "little")
        yield raw[begin:at].decode()


def _pass_on(told: dict[str, Any], into: Any, ours: str, where: str = "") -> Any:
    """Gives parameters to a message, to be checked as gRPC's are.

    Returns:
        The one that is JSON's alone; None: there is none.
    """
    field = f"{where}.parameters".lstrip(".")
    parameters = _object(told.get("parameters", {}), field)
    for name, value in parameters.items():
        if name != ours:
            _set(into.parameters[_text(name, field)], value)
    return parameters.get(ours)


def _set(parameter: Any, value: object) -> None:
    """A parameter of gRPC's; without a value, if its types have none such."""
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        if abs(value) < 2**63:
            parameter.int64_param = value
        elif 0 < value < 2**64:
            parameter.uint64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, str):  # half a surrogate is JSON's, and no UTF-8
        parameter.string_param = value.encode(errors="replace").decode()


def _content(data: object, tensor: Any, where: str) -> bytes:
    """The bytes of values, flat or nested."""
    field = f"{where}.data"
    dtype = _DTYPES.get(tensor.datatype)
    try:
        values = np.asarray(_list(data, field))
    except (ValueError, OverflowError, RecursionError):
        raise BadField(field, "DATA_INVALID", "expected numbers in rows of one length") from None
    if dtype is None or not values.size:
        return b""  # what is wrong with that is said where it is for gRPC
    if values.dtype.kind not in ("iu" if dtype == "u1" else "iuf"):
        expected = "whole numbers" if dtype == "u1" else "numbers"
        raise BadField(field, "DATA_INVALID", f"expected {expected}, got others")
    if dtype == "u1" and (values.min() < 0 or values.max() > 255):
        got = f"{values.min()} to {values.max()}"
        raise BadField(field, "PIXELS_OUT_OF_RANGE", f"expected values from 0 to 255, got {got}")
    return values.astype(dtype).tobytes()


def _shape(told: object, field: str) -> Sequence[int]:
    shape = _list(told, field)
    if not all(_is_whole(each) and abs(each) < 2**63 for each in shape):
        raise BadField(field, "SHAPE_UNEXPECTED", f"expected whole numbers, got {told!r:.80}")
    return shape


def _is_whole(value: object) -> TypeGuard[int]:
    """JSON's `true` is no number, which Python takes it for."""
    return isinstance(value, int) and not isinstance(value, bool)


def _object(told: object, field: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise BadField(field, "NOT_AN_OBJECT", f"expected an object, got {told!r:.80}")
    return told


def _list(told: object, field: str) -> list[Any]:
    if not isinstance(told, list):
        raise BadField(field, "NOT_A_LIST", f"expected a list, got {told!r:.80}")
    return told


def _text(told: object, field: str) -> str:
    if not isinstance(told, str) or not told.isprintable():
        raise BadField(field, "NOT_A_TEXT", f"expected a text, got {told!r:.80}")
    return told
