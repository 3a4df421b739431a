"""The Open Inference Protocol, against a real server; its messages are those of its own pool."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from digitserve.server.adapters.open_inference.messages import MESSAGES
from digitserve.server.guard.tokens import make_token
from digitserve.v1 import digits_pb2
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.models import CONFIG, place
from support.scrape import observed_server, scraped
from support.serving import TEST_CONFIG, Serving, serving, versions_of

SERVICE = "/inference.GRPCInferenceService/"
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module", name="up")
def _up() -> Iterator[Serving]:
    """A server whose engine tells digits by their ink."""
    with serving(versions=versions_of(InkEngine())) as up:
        yield up


def asked(up: Serving, method: str, request: Any = None, **options: Any) -> Any:
    """Calls a method."""
    with up.channel() as channel:
        call: Any = channel.unary_unary(
            SERVICE + method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(MESSAGES, f"{method}Response").FromString,
        )
        request = getattr(MESSAGES, f"{method}Request")() if request is None else request
        return call(request, timeout=60, **options)


def infer(pixels: bytes | None = None, **changed: Any) -> Any:
    """A request for one image, or as it is changed."""
    shape, datatype = changed.pop("shape", [1, 28, 28]), changed.pop("datatype", "UINT8")
    name = changed.pop("input", "pixels")
    outputs = [{"name": each} for each in changed.pop("outputs", ())]
    typed = changed.pop("contents", None)
    request = MESSAGES.ModelInferRequest(**{"model_name": "digits"} | changed, outputs=outputs)
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    if typed is not None:
        request.inputs[0].contents.MergeFrom(MESSAGES.InferTensorContents(**typed))
    if pixels is not None:
        request.raw_input_contents.append(pixels)
    return request


def arrays(response: Any) -> dict[str, Any]:
    """The tensors of an answer."""
    dtypes = {"FP32": "<f4", "INT64": "<i8"}
    return {
        each.name: np.frombuffer(raw, dtypes[each.datatype]).reshape(list(each.shape))
        for each, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


SEVEN = image_of(7)
AS_FLOATS = (np.frombuffer(SEVEN, np.uint8) / np.float32(255)).astype("<f4")


@pytest.mark.parametrize(
    "request_",
    [
        infer(SEVEN),
        infer(SEVEN, shape=[28, 28]),
        infer(SEVEN, shape=[1, 28, 28, 1]),
        infer(SEVEN, shape=[1, 784]),
        infer(AS_FLOATS.tobytes(), datatype="FP32"),
        infer(contents={"uint_contents": list(SEVEN)}),
        infer(contents={"fp32_contents": AS_FLOATS.tolist()}, datatype="FP32"),
        infer(SEVEN, model_version="1"),
        infer(SEVEN, model_version="stable"),
        infer(SEVEN, id="mine"),
    ],
    ids=lambda request: str(request.inputs[0])[:60].replace("\n", " "),
)
def test_every_way_to_say_an_image_is_understood(up: Serving, request_: Any) -> None:
    """Twice: what is the same in a caller's requests is known the second time."""
    for _ in range(2):
        response = asked(up, "ModelInfer", request_)
        assert (response.model_name, response.model_version) == ("digits", "1")
        assert response.id == request_.id
        told = arrays(response)
        assert told["digit"].tolist() == [[7]]
        assert told["probabilities"].shape == (1, 10)
        assert told["probabilities"].argmax() == 7
        assert told["rejection"].shape == (1, 1)


def test_several_images_are_answered_in_their_order(up: Serving) -> None:
    """And only what is asked for, in that order, once."""
    digits = [3, 1, 4, 1, 5]
    pixels = b"".join(map(image_of, digits))
    request = infer(pixels, shape=[5, 28, 28], outputs=["digit", "probabilities", "digit"])
    told = arrays(asked(up, "ModelInfer", request))
    assert list(told) == ["digit", "probabilities"]
    assert told["digit"].ravel().tolist() == digits
    assert told["probabilities"].argmax(axis=1).tolist() == digits


def test_it_says_what_predict_says(serving: Serving, mnist: Path) -> None:
    """To the bit, of either engine, with every adapter on."""
    del mnist
    pixels = image_of(2) + image_of(8)
    told = arrays(asked(serving, "ModelInfer", infer(pixels, shape=[2, 28, 28])))
    with serving.digits() as stub:
        known = stub.Predict(digits_pb2.PredictRequest(pixels=pixels, count=2)).predictions
    assert told["probabilities"].tolist() == [list(each.probabilities) for each in known]
    assert told["digit"].ravel().tolist() == [each.digit for each in known]
    assert told["rejection"].ravel().tolist() == [each.rejection for each in known]


WRONG = {
    "another model": (infer(SEVEN, model_name="letters"), NOT_FOUND, "letters"),
    "no model": (infer(SEVEN, model_name=""), NOT_FOUND, "digits"),
    "unknown version": (infer(SEVEN, model_version="9"), NOT_FOUND, "9"),
    "no version": (infer(SEVEN, model_version="newest"), INVALID, "model_version"),
    "another input": (infer(SEVEN, input="image"), INVALID, "inputs[0].name"),
    "no input": (MESSAGES.ModelInferRequest(model_name="digits"), INVALID, "inputs"),
    "another shape": (infer(bytes(1024), shape=[1, 32, 32]), INVALID, "inputs[0].shape"),
    "flat": (infer(SEVEN, shape=[784]), INVALID, "inputs[0].shape"),
    "none of them": (infer(b"", shape=[0, 28, 28]), INVALID, "inputs[0].shape"),
    "of no length": (infer(SEVEN, shape=[-1, 28, 28]), INVALID, "inputs[0].shape"),
    "another type": (infer(bytes(784 * 8), datatype="INT64"), INVALID, "inputs[0].datatype"),
    "no content": (infer(), INVALID, "inputs[0].contents"),
    "both contents": (
        infer(SEVEN, contents={"uint_contents": list(SEVEN)}),
        INVALID,
        "raw_input_contents",
    ),
    "contents of another type": (
        infer(contents={"fp32_contents": [0.0] * 784}),
        INVALID,
        "inputs[0].contents",
    ),
    "too short": (infer(SEVEN[1:]), INVALID, "pixels"),
    "contents too short": (infer(contents={"uint_contents": [0] * 783}), INVALID, "pixels"),
    "no byte": (infer(contents={"uint_contents": [256] * 784}), INVALID, "uint_contents"),
    "too many": (infer(bytes(784 * 2000), shape=[2000, 784]), INVALID, "count"),
    "another output": (infer(SEVEN, outputs=["letter"]), INVALID, "outputs[0].name"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named(up: Serving, wrong: str) -> None:
    """With the code that Triton gives, also when a right request of the kind is known already."""
    request, code, told = WRONG[wrong]
    asked(up, "ModelInfer", infer(SEVEN))
    with pytest.raises(grpc.RpcError) as refused:
        asked(up, "ModelInfer", request)
    assert refused.value.code() is code
    assert told in str(refused.value.details())


def test_bytes_that_are_no_message_are_refused(up: Serving) -> None:
    """As for every other service."""
    with up.channel() as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(SERVICE + "ModelInfer")(b"\xff")  # type: ignore[arg-type]
    assert refused.value.code() is INVALID


def streamed(up: Serving, requests: list[Any], *metadata: tuple[str, str]) -> Iterator[Any]:
    """The answers of a stream."""
    with up.channel() as channel:
        call: Any = channel.stream_stream(
            SERVICE + "ModelStreamInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=MESSAGES.ModelStreamInferResponse.FromString,
        )
        yield from call(iter(requests), metadata=metadata, timeout=60)


def test_a_stream_answers_each_request_in_order(up: Serving) -> None:
    """What is wrong is an answer too, with the request's id; the stream goes on."""
    requests = [infer(image_of(1), id="a"), infer(b"?", id="b"), infer(image_of(2), id="c")]
    one, wrong, two = streamed(up, requests)
    assert [each.infer_response.id for each in (one, wrong, two)] == ["a", "b", "c"]
    assert "pixels: expected 784 bytes" in wrong.error_message
    assert not wrong.infer_response.outputs
    assert [arrays(each.infer_response)["digit"].item() for each in (one, two)] == [1, 2]
    assert one.infer_response.parameters["triton_final_response"].bool_param


def test_who_wants_the_status_gets_it(up: Serving) -> None:
    """And nothing after it."""
    requests = [infer(image_of(1)), infer(b"?"), infer(image_of(2))]
    answers = streamed(up, requests, ("triton_grpc_error", "true"))
    assert arrays(next(answers).infer_response)["digit"].item() == 1
    with pytest.raises(grpc.RpcError) as refused:
        next(answers)
    assert refused.value.code() is INVALID


def test_a_broken_network_is_told_as_internal() -> None:
    """Nothing of why leaves the server; the stream goes on."""
    broken = bytes([255]) + bytes(783)
    with serving(versions=versions_of(BrokenEngine())) as up:
        wrong, right = streamed(up, [infer(broken, id="x"), infer(image_of(4))])
    assert "secret" not in wrong.error_message
    assert wrong.error_message.startswith("internal error ")
    assert arrays(right.infer_response)["digit"].item() == 4


def test_a_drain_ends_a_stream_that_says_nothing() -> None:
    """What was asked is answered; then UNAVAILABLE, and the drain is a clean one."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.channel() as channel:
        call: Any = channel.stream_stream(
            SERVICE + "ModelStreamInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=MESSAGES.ModelStreamInferResponse.FromString,
        )
        over = threading.Event()

        def requests() -> Iterator[Any]:
            yield infer(image_of(6))
            over.wait(60)  # the caller does not half-close

        answers = call(requests(), timeout=60)
        assert engine.entered.wait(60)
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(0.0), up.loop)
        engine.go.set()
        assert arrays(next(answers).infer_response)["digit"].item() == 6
        with pytest.raises(grpc.RpcError) as ended:
            next(answers)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert draining.result(timeout=60) is True
        over.set()


def test_the_server_tells_of_itself(up: Serving) -> None:
    """Live, ready, what it is called, and the tensors of its model."""
    assert asked(up, "ServerLive").live
    assert asked(up, "ServerReady").ready
    assert asked(up, "ServerMetadata").name == "digitserve"
    named = {"name": "digits"}
    assert asked(up, "ModelReady", MESSAGES.ModelReadyRequest(**named)).ready
    assert not asked(up, "ModelReady", MESSAGES.ModelReadyRequest(**named, version="9")).ready
    told = asked(up, "ModelMetadata", MESSAGES.ModelMetadataRequest(**named))
    assert list(told.versions) == ["1"]
    assert [(each.name, list(each.shape)) for each in told.inputs] == [("pixels", [-1, 28, 28])]
    assert [(each.name, list(each.shape)) for each in told.outputs] == [
        ("probabilities", [-1, 10]),
        ("digit", [-1, 1]),
        ("rejection", [-1, 1]),
    ]
    config = asked(up, "ModelConfig", MESSAGES.ModelConfigRequest(**named)).config
    assert config.max_batch_size == TEST_CONFIG.max_images
    assert [list(each.dims) for each in config.input] == [[28, 28]]


def test_statistics_are_those_of_the_calls() -> None:
    """Calls and images as they were; time only where there was some."""
    broken = bytes([255]) + bytes(783)
    with serving(versions=versions_of(BrokenEngine())) as up:
        for images in (1, 3):
            request = infer(image_of(1) * images, shape=[images, 784])
            asked(up, "ModelInfer", request)
        with pytest.raises(grpc.RpcError):
            asked(up, "ModelInfer", infer(broken))
        (told,) = asked(up, "ModelStatistics").model_stats
    assert (told.name, told.version) == ("digits", "1")
    assert (told.inference_count, told.execution_count) == (4, 2)
    stats = told.inference_stats
    assert (stats.success.count, stats.fail.count) == (2, 1)
    assert stats.success.ns >= stats.compute_infer.ns > 0
    assert told.last_inference > 1_700_000_000_000


def test_versions_are_loaded_and_let_go_of(tmp_path: Path) -> None:
    """By ModelService, whose leave it takes."""
    place(tmp_path, 1)
    config = replace(CONFIG, models=tmp_path, model_control=True)
    load, unload = MESSAGES.RepositoryModelLoadRequest, MESSAGES.RepositoryModelUnloadRequest
    with serving(config) as up:
        place(tmp_path, 2)
        asked(up, "RepositoryModelLoad", load(model_name="digits"))
        index = asked(up, "RepositoryIndex").models
        assert [(each.version, each.state) for each in index] == [("1", "READY"), ("2", "READY")]
        gone = unload(model_name="digits")
        with pytest.raises(grpc.RpcError, match="version"):
            asked(up, "RepositoryModelUnload", gone)
        gone.parameters["version"].string_param = "1"
        asked(up, "RepositoryModelUnload", gone)
        assert [each.version for each in asked(up, "RepositoryIndex").models] == ["2"]
        for refused, code in (
            (load(model_name="letters"), NOT_FOUND),
            (load(model_name="digits", repository_name="other"), INVALID),
        ):
            with pytest.raises(grpc.RpcError) as error:
                asked(up, "RepositoryModelLoad", refused)
            assert error.value.code() is code


def test_changes_want_the_right_to(tmp_path: Path) -> None:
    """Health is open; predictions and changes want what they want of our own services."""
    tokens, made = tmp_path / "tokens.json", make_token()
    entry = {"id": made.id, "sha256": made.sha256, "name": "reader", "scopes": ["predict"]}
    tokens.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
    tokens.chmod(0o600)
    metadata = [("authorization", f"Bearer {made.token}")]
    with serving(replace(TEST_CONFIG, tokens=tokens), versions_of(InkEngine())) as up:
        assert asked(up, "ServerReady").ready
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            asked(up, "ModelInfer", infer(SEVEN))
        assert asked(up, "ModelInfer", infer(SEVEN), metadata=metadata).outputs
        request = MESSAGES.RepositoryModelLoadRequest(model_name="digits")
        with pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"):
            asked(up, "RepositoryModelLoad", request, metadata=metadata)


def test_it_is_counted_like_every_call() -> None:
    """Calls by method and code, digits by version."""
    with observed_server(versions=versions_of(InkEngine())) as (up, address):
        asked(up, "ModelInfer", infer(SEVEN))
        told = scraped(address)
    method = "inference.GRPCInferenceService/ModelInfer"
    assert told[f'digitserve_calls_total{{code="OK",method="{method}"}}'] == 1
    assert told['digitserve_predictions_total{digit="7",version="1"}'] == 1


def test_it_can_be_switched_off() -> None:
    """Then it is no service of this server."""
    config = replace(TEST_CONFIG, open_inference=False)
    with (
        serving(config, versions_of(InkEngine())) as up,
        pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"),
    ):
        asked(up, "ServerLive")
