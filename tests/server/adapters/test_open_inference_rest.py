"""The Open Inference Protocol in JSON, over HTTP/1.1, against a real server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitserve.server.guard.tokens import make_token
from support.engines import BrokenEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving, versions_of

HTTP = replace(TEST_CONFIG, http="127.0.0.1:0")
INFER = "/v2/models/digits/infer"
LENGTH = "inference-header-content-length"


@pytest.fixture(scope="module", name="up")
def _up() -> Iterator[Serving]:
    """A server whose engine tells digits by their ink."""
    with serving(HTTP, versions_of(InkEngine())) as up:
        yield up


def called(
    up: Serving, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Asks; gives the status, the headers and the body."""
    connection = HTTPConnection(up.server.http, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    response = connection.getresponse()
    said = response.read()
    connection.close()
    return response.status, {name.lower(): text for name, text in response.getheaders()}, said


def told(up: Serving, path: str, sent: Any = None) -> tuple[int, Any]:
    """The status and the JSON."""
    body = None if sent is None else json.dumps(sent).encode()
    status, _, said = called(up, path, body)
    return status, json.loads(said)


def tensor(pixels: bytes, *shape: int, **changed: Any) -> dict[str, Any]:
    """An input."""
    return {
        "name": "pixels",
        "datatype": "UINT8",
        "shape": list(shape or (1, 28, 28)),
        "data": list(pixels),
    } | changed


def classified(output: str, classes: Any) -> dict[str, Any]:
    """An output of which so many classes are asked for."""
    return {"name": output, "parameters": {"classification": classes}}


def parametrized(of: str, **parameters: Any) -> dict[str, Any]:
    """A request whose parameters, or its input's or output's, are these."""
    sent: dict[str, Any] = {"inputs": [tensor(image_of(1))], "outputs": [{"name": "digit"}]}
    (sent if of == "request" else sent[of][0])["parameters"] = parameters
    return sent


@pytest.mark.parametrize("version", ["", "/versions/1", "/versions/stable"])
def test_images_are_read(up: Serving, version: str) -> None:
    """Of whichever version is named."""
    sent = {"id": "mine", "inputs": [tensor(image_of(7) + image_of(3), 2, 784)]}
    status, said = told(up, f"/v2/models/digits{version}/infer", sent)
    assert status == 200
    assert (said["model_name"], said["model_version"], said["id"]) == ("digits", "1", "mine")
    outputs = {each["name"]: each for each in said["outputs"]}
    assert outputs["digit"]["data"] == [7, 3]
    assert outputs["probabilities"]["shape"] == [2, 10]
    assert len(outputs["probabilities"]["data"]) == 20


def test_values_may_be_nested_or_floats(up: Serving) -> None:
    """As the shape says, or flat."""
    rows = np.frombuffer(image_of(5), np.uint8).reshape(1, 28, 28)
    floats = rows / 255
    for each in (
        tensor(b"", data=rows.tolist()),
        tensor(b"", data=floats.tolist(), datatype="FP32"),
        tensor(b"", data=floats.ravel().tolist(), datatype="FP32"),
    ):
        status, said = told(up, INFER, {"inputs": [each], "outputs": [{"name": "digit"}]})
        assert status == 200, said
        assert said["outputs"] == [
            {"name": "digit", "shape": [1, 1], "datatype": "INT64", "data": [5]}
        ]


def test_tensors_may_be_bytes_after_the_json(up: Serving) -> None:
    """On the way there and back; what is not asked for as bytes is JSON still."""
    sent = tensor(b"", 2, 28, 28, parameters={"binary_data_size": 1568})
    del sent["data"]
    wanted = [{"name": "digit", "parameters": {"binary_data": True}}, {"name": "rejection"}]
    head = json.dumps({"inputs": [sent], "outputs": wanted}).encode()
    body = head + image_of(4) + image_of(2)
    status, headers, said = called(up, INFER, body, **{LENGTH: str(len(head))})
    assert status == 200
    length = int(headers[LENGTH])
    digit, rejection = json.loads(said[:length])["outputs"]
    assert digit["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(said[length:], "<i8").tolist() == [4, 2]
    assert len(rejection["data"]) == 2


def test_classes_are_texts(up: Serving) -> None:
    """The likeliest first, in JSON or as bytes, as gRPC has them."""
    for binary in (False, True):
        wanted = [classified("probabilities", 2)]
        wanted[0]["parameters"]["binary_data"] = binary
        sent = json.dumps({"inputs": [tensor(image_of(7))], "outputs": wanted}).encode()
        status, headers, said = called(up, INFER, sent)
        length = int(headers.get(LENGTH, len(said)))
        (output,) = json.loads(said[:length])["outputs"]
        assert (status, output["datatype"], output["shape"]) == (200, "BYTES", [1, 2])
        if binary:
            texts = [said[length + 4 : length + 14], said[length + 18 : length + 28]]
        else:
            texts = [each.encode() for each in output["data"]]
        assert texts == [b"0.910000:7", b"0.010000:0"]


WRONG: dict[str, tuple[Any, int, str]] = {
    "a list": ([], 400, "body"),
    "no input": ({"inputs": []}, 400, "inputs"),
    "inputs are none": ({"inputs": 3}, 400, "inputs"),
    "an input is none": ({"inputs": ["pixels"]}, 400, "inputs[0]"),
    "another input": ({"inputs": [tensor(image_of(1), name="image")]}, 400, "'image'"),
    "another shape": ({"inputs": [tensor(image_of(1), 7, 7)]}, 400, "unexpected shape"),
    "a shape that is none": ({"inputs": [tensor(b"", shape="28x28")]}, 400, "inputs[0].shape"),
    "a shape of truths": ({"inputs": [tensor(b"", True, 28, 28)]}, 400, "inputs[0].shape"),
    "another type": ({"inputs": [tensor(image_of(1), datatype="BOOL")]}, 400, "data-type"),
    "too short": ({"inputs": [tensor(image_of(1)[1:])]}, 400, "pixels"),
    "nothing": ({"inputs": [tensor(b"")]}, 400, "pixels"),
    "text": ({"inputs": [tensor(b"", data=["?"] * 784)]}, 400, "inputs[0].data"),
    "rows of two lengths": ({"inputs": [tensor(b"", data=[[1], [2, 3]])]}, 400, "inputs[0].data"),
    "halves": ({"inputs": [tensor(b"", data=[0.5] * 784)]}, 400, "inputs[0].data"),
    "no byte": ({"inputs": [tensor(b"", data=[256] * 784)]}, 400, "0 to 255"),
    "another output": (
        {"inputs": [tensor(image_of(1))], "outputs": [{"name": "letter"}]},
        400,
        "'letter'",
    ),
    "classes of a digit": (
        {"inputs": [tensor(image_of(1))], "outputs": [classified("digit", 1)]},
        501,
        "classification",
    ),
    "no class": (
        {"inputs": [tensor(image_of(1))], "outputs": [classified("probabilities", 0)]},
        400,
        ">= 0",
    ),
    "classes that are no number": (
        {"inputs": [tensor(image_of(1))], "outputs": [classified("probabilities", "2")]},
        400,
        "int64_param",
    ),
    "bytes that did not come": (
        {"inputs": [tensor(b"", parameters={"binary_data_size": 784})]},
        400,
        "binary_data_size",
    ),
}


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        (parametrized("outputs", shared_memory_region="x"), 501, "shared memory"),
        (parametrized("inputs", shared_memory_region="x"), 501, "shared memory"),
        (parametrized("request", triton_x=1), 400, "triton_"),
        (parametrized("request", priority="high"), 400, "'priority'"),
        (parametrized("request", timeout=True), 400, "'timeout'"),
        (parametrized("request", mine=[1]), 400, "'mine'"),
        (parametrized("request", mine=2**64), 400, "'mine'"),
        (parametrized("request", **{"\ud800": 1}), 400, "parameters"),
    ],
)
def test_parameters_are_refused_as_grpc_refuses_them(
    up: Serving, sent: Any, status: int, field: str
) -> None:
    """What cannot be had, what is Triton's own, and what has another type than it should."""
    came, said = told(up, INFER, sent)
    assert came == status
    assert field in said["error"]


def test_parameters_that_nobody_knows_are_left_alone(up: Serving) -> None:
    """Of whichever type they are, and those that Triton knows as well."""
    known = {"priority": 2**63, "timeout": -1, "sequence_id": "mine", "sequence_start": True}
    sent = parametrized("request", mine="\ud800", half=0.5, **known)
    sent["inputs"][0]["parameters"] = {"mine": None}
    assert told(up, INFER, sent)[0] == 200


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named(up: Serving, wrong: str) -> None:
    """With the status that the protocol gives."""
    sent, status, field = WRONG[wrong]
    came, said = told(up, INFER, sent)
    assert came == status
    assert field in said["error"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"{}", {LENGTH: "3"}, 400),
        (b"{}", {LENGTH: "-1"}, 400),
        (b"{}", {LENGTH: "1" * 5000}, 400),
        (b'{"inputs": []}x', {LENGTH: "14"}, 400),
        (b" " * (1024 * 1024 + 1), {}, 413),
        (bytes(HTTP.max_message_bytes + 1), {LENGTH: "2"}, 413),
        (b"{}", {"grpc_timeout": "soon"}, 400),
    ],
)
def test_a_body_that_is_none_is_refused(
    up: Serving, body: bytes, headers: dict[str, str], status: int
) -> None:
    """And the server lives on."""
    came, _, said = called(up, INFER, body, **headers)
    assert came == status
    assert json.loads(said)["error"]
    assert told(up, "/v2/health/live") == (200, {"live": True})


def test_the_server_tells_of_itself(up: Serving) -> None:
    """As over gRPC."""
    assert told(up, "/v2/health/ready") == (200, {"ready": True})
    assert told(up, "/v2")[1]["name"] == "digitserve"
    status, model = told(up, "/v2/models/digits")
    assert (status, model["versions"]) == (200, ["1"])
    assert [each["name"] for each in model["outputs"]] == [
        "probabilities",
        "digit",
        "confidence",
        "rejection",
    ]
    assert told(up, "/v2/models/digits/ready") == (200, {"name": "digits", "ready": True})
    assert told(up, "/v2/models/digits/versions/9/ready")[0] == 404
    assert told(up, "/v2/models/letters")[0] == 404
    assert told(up, "/v2/models/digits/versions/9")[0] == 404


def test_the_document_describes_what_is_there(up: Serving) -> None:
    """Every path of it is served, with its method."""
    status, document = told(up, "/openapi.json")
    assert status == 200
    for path, methods in document["paths"].items():
        real = path.replace("{model}", "digits").replace("{version}", "1")
        (method,) = methods
        body = b"{}" if method == "post" else None
        assert called(up, real, body)[0] in {200, 400}


def test_a_broken_network_is_500_and_says_no_more() -> None:
    """What went wrong is in the log."""
    with serving(HTTP, versions_of(BrokenEngine())) as up:
        sent = {"inputs": [tensor(bytes([255]) + bytes(783))]}
        status, said = told(up, INFER, sent)
    assert status == 500
    assert "secret" not in said["error"]


def test_credentials_and_limits_are_those_of_the_server(tmp_path: Path) -> None:
    """401 without one; 429 and when to come back over the limit."""
    tokens, made = tmp_path / "tokens.json", make_token()
    entry = {
        "id": made.id,
        "sha256": made.sha256,
        "name": "page",
        "scopes": ["predict"],
        "images_per_second": 0.5,
        "burst": 1,
    }
    tokens.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
    tokens.chmod(0o600)
    body = json.dumps({"inputs": [tensor(image_of(1))]}).encode()
    with serving(replace(HTTP, tokens=tokens), versions_of(InkEngine())) as up:
        assert told(up, "/v2/health/ready")[0] == 200
        status, headers, _ = called(up, INFER, body)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        allowed = {"authorization": f"Bearer {made.token}"}
        assert called(up, INFER, body, **allowed)[0] == 200
        status, headers, _ = called(up, INFER, body, **allowed)
        assert status == 429
        assert int(headers["retry-after"]) >= 1
