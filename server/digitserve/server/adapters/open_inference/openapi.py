"""What `rest.py` serves, as an OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from digitserve.server.adapters.open_inference.model import INPUT, MODEL, OUTPUTS

_JSON, _BYTES = "application/json", "application/octet-stream"
_TEXT, _WHOLE, _YES = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_BINARY = {_BYTES: {"schema": {"type": "string", "format": "binary"}}}


def _many(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_TENSOR = {"name": _TEXT, "datatype": _TEXT, "shape": _many(_WHOLE)}
_SCHEMAS = {
    "Error": _object("error", error=_TEXT),
    "Live": _object("live", live=_YES),
    # Or an error.
    "Ready": _object(ready=_YES, name=_TEXT, error=_TEXT),
    "Server": _object(
        "name version extensions", name=_TEXT, version=_TEXT, extensions=_many(_TEXT)
    ),
    "Tensor": _object("name datatype shape", **_TENSOR),
    "Model": _object(
        "name versions platform inputs outputs",
        name=_TEXT,
        versions=_many(_TEXT),
        platform=_TEXT,
        inputs=_many(_schema("Tensor")),
        outputs=_many(_schema("Tensor")),
    ),
    "InferInput": _object(
        "name datatype shape",
        name={"const": INPUT},
        datatype={
            "enum": ["UINT8", "FP32"],
            "description": "UINT8: 0 = paper, 255 = ink; FP32: 0.0 to 1.0",
        },
        shape=_many(_WHOLE) | {"description": "[28,28], [N,28,28], [N,28,28,1] or [N,784]"},
        parameters=_object(binary_data_size={"type": "integer", "minimum": 0}),
        data={"type": "array", "description": "Flat or nested; absent with binary_data_size"},
    ),
    "InferOutput": _object(
        "name",
        name={"enum": [output.name for output in OUTPUTS]},
        parameters=_object(
            binary_data=_YES,
            classification={
                "type": "integer",
                "minimum": 1,
                "description": "Of probabilities: so many of the likeliest, as probability:digit",
            },
        ),
    ),
    "InferRequest": _object(
        "inputs",
        id=_TEXT,
        parameters=_object(binary_data_output=_YES),
        inputs=_many(_schema("InferInput")) | {"minItems": 1, "maxItems": 1},
        outputs=_many(_schema("InferOutput")),
    ),
    "InferResponse": _object(
        "model_name model_version outputs",
        id=_TEXT,
        model_name=_TEXT,
        model_version=_TEXT,
        outputs=_many(
            _object(
                "name datatype shape",
                **_TENSOR,
                data=_many({"type": ["number", "string"]}),
                parameters=_object(binary_data_size=_WHOLE),
            )
        ),
    ),
}


def _in_path(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    told = {"name": name, "in": "path", "required": True}
    return told | {"description": description, "schema": schema}


_MODEL = _in_path("model", "There is one", {"const": MODEL})
_VERSION = _in_path("version", "A version's number, or a label", _TEXT | {"example": "stable"})
_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "Bytes of JSON before tensors that are sent as bytes",
    "schema": {"type": "integer", "minimum": 0},
}


def _told(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _schema(schema)}}}


_FAILURES = {
    str(code): _told("It cannot be done, and why", "Error")
    for code in (400, 401, 403, 404, 413, 429, 501, 503, 504)
}


def _get(summary: str, schema: str, *parameters: Any, otherwise: str = "") -> dict[str, Any]:
    """A question; `otherwise`: the status that says no."""
    responses = _FAILURES | {"200": _told(summary, schema)}
    if otherwise:
        responses[otherwise] = _told("It is not so", schema)
    return {"get": {"summary": summary, "parameters": [*parameters], "responses": responses}}


def _infer(*parameters: Any) -> dict[str, Any]:
    answer = {"content": {_JSON: {"schema": _schema("InferResponse")}} | _BINARY}
    return {
        "post": {
            "summary": "Reads images",
            "parameters": [*parameters, _LENGTH],
            "requestBody": {
                "required": True,
                "content": {_JSON: {"schema": _schema("InferRequest")}} | _BINARY,
            },
            "responses": _FAILURES | {"200": {"description": "What was read"} | answer},
        }
    }


def document() -> dict[str, Any]:
    """The document."""
    model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    both = (_MODEL, _VERSION)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "digitserve: the Open Inference Protocol",
            "version": "2",
            "description": "Reads handwritten digits.",
        },
        "paths": {
            "/v2": _get("Which server this is", "Server"),
            "/v2/health/live": _get("Whether it lives", "Live"),
            "/v2/health/ready": _get("Whether calls are welcome", "Ready", otherwise="503"),
            model: _get("The model's tensors and versions", "Model", _MODEL),
            version: _get("The same, of one version", "Model", *both),
            f"{model}/ready": _get("Whether it answers", "Ready", _MODEL, otherwise="404"),
            f"{version}/ready": _get("Whether it answers", "Ready", *both, otherwise="404"),
            f"{model}/infer": _infer(_MODEL),
            f"{version}/infer": _infer(*both),
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
