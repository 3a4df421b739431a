"""TensorFlow Serving's API over the wire: the same answers as digitserve.v1's, by the same way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.adapters.tensorflow_serving.tensors import FLOAT, INT64, UINT8
from digitserve.v1 import digits_pb2
from support.engines import HeldEngine, InkEngine
from support.guarded import Tokens, bearer, guarding
from support.models import answering, watching
from support.models import place as place_bundles
from support.scrape import observed_server, scraped
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.tensorflow_serving import (
    MODEL,
    PREDICTION,
    WAYS,
    Stub,
    predict_request,
    put,
    request_of,
    stub_of,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

NOISE = np.random.default_rng(7).integers(0, 256, (5, 28, 28), np.uint8)
INK = np.zeros((3, 28, 28), np.uint8)
INK[:, 0, 0] = [7, 1, 4]  # what InkEngine reads


def refused(call: Callable[..., Any], request: Any, **more: Any) -> tuple[Any, str, str, str]:
    """Code, reason, message and field of a call that is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call(request, **more)
    status = rpc_status.from_call(raised.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    field = bad.field_violations[0].field if bad.field_violations else ""
    return raised.value.code(), info.reason, status.message, field


class TestPredict:
    @pytest.mark.parametrize("shape", [(5, 28, 28), (5, 28, 28, 1), (5, 784)])
    @pytest.mark.parametrize("way", WAYS)
    def test_answers_as_digitserve_does(
        self, serving: Serving, way: tuple[int, str], shape: tuple[int, ...]
    ) -> None:
        """To the bit, however the pixels are sent; in typed fields, as callers are used to."""
        with serving.digits() as digits, stub_of(serving) as stub:
            own = digits.Predict(digits_pb2.PredictRequest(pixels=NOISE.tobytes(), count=5))
            response = stub.Predict(predict_request(NOISE, way, shape))
        digit, probabilities = response.outputs["digit"], response.outputs["probabilities"]
        assert (digit.dtype, probabilities.dtype) == (INT64, FLOAT)
        assert [dim.size for dim in digit.tensor_shape.dim] == [5]
        assert [dim.size for dim in probabilities.tensor_shape.dim] == [5, 10]
        assert list(digit.int64_val) == [each.digit for each in own.predictions]
        assert list(probabilities.float_val) == [
            value for each in own.predictions for value in each.probabilities
        ]

    @pytest.mark.parametrize(
        "spec",
        [{}, {"version": 1}, {"version_label": "stable", "signature_name": "serving_default"}],
    )
    def test_says_who_answered(self, serving: Serving, spec: dict[str, Any]) -> None:
        """Name, version and signature, however much of it was named."""
        with stub_of(serving) as stub:
            said = stub.Predict(predict_request(NOISE, **spec)).model_spec
        assert (said.name, said.version.value, said.signature_name) == (
            "digits",
            1,
            "serving_default",
        )

    @pytest.mark.parametrize(("way", "value"), [(WAYS[1], 200), (WAYS[3], 200 / 255)])
    def test_the_last_value_stands_for_the_rest(
        self, serving: Serving, way: tuple[int, str], value: float
    ) -> None:
        """As where TensorFlow writes a tensor of one value; of none at all, it is 0."""
        few = predict_request(np.empty((0, 28, 28), np.uint8), way, (2, 28, 28))
        dark = np.zeros((2, 28, 28), np.uint8)
        with stub_of(serving) as stub:
            assert stub.Predict(few) == stub.Predict(predict_request(dark))
            getattr(few.inputs["images"], way[1]).extend([0, value])
            light = np.full((2, 28, 28), 200, np.uint8)
            light[0, 0, 0] = 0
            assert stub.Predict(few) == stub.Predict(predict_request(light))

    @pytest.mark.parametrize("wanted", [["digit"], ["probabilities"], ["probabilities", "digit"]])
    def test_gives_the_outputs_that_are_wanted(self, serving: Serving, wanted: list[str]) -> None:
        """All of them, if none is named."""
        request = predict_request(NOISE)
        request.output_filter.extend(wanted)
        with stub_of(serving) as stub:
            assert set(stub.Predict(request).outputs) == set(wanted)


def _with(change: Callable[[Any], Any]) -> Any:
    request = predict_request(NOISE)
    change(request)
    return request


def _tensor(**fields: Any) -> Any:
    request = predict_request(NOISE)
    for name, value in fields.items():
        setattr(request.inputs["images"], name, value)
    return request


def _valued(way: tuple[int, str], *values: float) -> Any:
    request = predict_request(np.empty((0, 28, 28), np.uint8), way, (1, 28, 28))
    getattr(request.inputs["images"], way[1]).extend(values)
    return request


# What is wrong with a request, and code, reason and message: of what TensorFlow Serving refuses
# too, to the letter.
WRONG = {
    "no model": (
        put(PROTOCOL.message("PredictRequest")(), NOISE),
        (INVALID, "MODEL_SPEC_MISSING", "Missing ModelSpec"),
    ),
    "no name": (
        predict_request(NOISE, model=""),
        (INVALID, "MODEL_NAME_MISSING", "ModelSpec has no name specified."),
    ),
    "another model": (
        predict_request(NOISE, model="half_plus_two"),
        (NOT_FOUND, "NAME_UNKNOWN", "Servable not found for request: Latest(half_plus_two)"),
    ),
    "a version of another model": (
        predict_request(NOISE, model="half_plus_two", version=3),
        (NOT_FOUND, "NAME_UNKNOWN", "Servable not found for request: Specific(half_plus_two, 3)"),
    ),
    "another version": (
        predict_request(NOISE, version=9),
        (NOT_FOUND, "VERSION_UNKNOWN", "Servable not found for request: Specific(digits, 9)"),
    ),
    "version 0": (
        predict_request(NOISE, version=0),
        (NOT_FOUND, "VERSION_UNKNOWN", "Servable not found for request: Specific(digits, 0)"),
    ),
    "another label": (
        predict_request(NOISE, version_label="best"),
        (INVALID, "LABEL_UNKNOWN", "Unrecognized servable version label: best"),
    ),
    "another signature": (
        predict_request(NOISE, signature_name="predict"),
        (PRECONDITION, "SIGNATURE_UNKNOWN", 'Serving signature key "predict" not found.'),
    ),
    "no input": (
        request_of("Predict"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "input size does not match signature: 0!=1 len({}) != len({images}). "
            "Sent extra: {}. Missing but required: {images}.",
        ),
    ),
    "an input more": (
        put(predict_request(NOISE), NOISE, WAYS[0], None, "input"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "input size does not match signature: 2!=1 len({images,input}) != len({images}). "
            "Sent extra: {input}. Missing but required: {}.",
        ),
    ),
    "another input": (
        put(request_of("Predict"), NOISE, WAYS[0], None, "input"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "Signature input alias: images(feed name: serving_default_images:0) not found in "
            "request and no default value provided. Inputs expected to be in the request {input}, "
            "or default input alias set: ",
        ),
    ),
    "another output": (
        _with(lambda request: request.output_filter.append("logits")),
        (
            INVALID,
            "OUTPUT_UNKNOWN",
            "output tensor alias not found in signature: logits "
            "Outputs expected to be in the set {digit,probabilities}.",
        ),
    ),
    "an output twice": (
        _with(lambda request: request.output_filter.extend(["digit", "digit"])),
        (INVALID, "OUTPUT_TWICE", "duplicate output tensor alias: digit"),
    ),
    "bytes missing": (
        _tensor(tensor_content=bytes(3919)),
        (
            INVALID,
            "PIXELS_LENGTH",
            "tensor parsing error: images: expected 3920 bytes of DT_UINT8 for 5 images of 28x28, "
            "got 3919",
        ),
    ),
    "values too many": (
        _valued(WAYS[3], *[0.0] * 785),
        (
            INVALID,
            "PIXELS_LENGTH",
            "tensor parsing error: images: expected 3136 bytes of DT_FLOAT for 1 images of 28x28, "
            "got 3140",
        ),
    ),
    "another type": (
        _tensor(dtype=3),
        (
            INVALID,
            "DTYPE_UNKNOWN",
            "inputs[images].dtype: expected DT_UINT8 (0 to 255) or DT_FLOAT (0.0 to 1.0), "
            "got DT_INT32",
        ),
    ),
    "a type that nobody knows": (
        _tensor(dtype=999),
        (
            INVALID,
            "DTYPE_UNKNOWN",
            "inputs[images].dtype: expected DT_UINT8 (0 to 255) or DT_FLOAT (0.0 to 1.0), got 999",
        ),
    ),
    "one image without its dimension": (
        predict_request(NOISE[:1], WAYS[0], (28, 28)),
        (
            INVALID,
            "SHAPE_UNKNOWN",
            "inputs[images].tensor_shape: expected [N,28,28], [N,28,28,1] or [N,784], "
            "got [28,28]; one image is [1,28,28]",
        ),
    ),
    "three colours": (
        predict_request(NOISE, WAYS[0], (5, 28, 28, 3)),
        (
            INVALID,
            "SHAPE_UNKNOWN",
            "inputs[images].tensor_shape: expected [N,28,28], [N,28,28,1] or [N,784], "
            "got [5,28,28,3]",
        ),
    ),
    "no images": (
        predict_request(NOISE[:0]),
        (
            INVALID,
            "TOO_MANY_IMAGES",
            "inputs[images].tensor_shape: expected 1 to 1024 images, got 0",
        ),
    ),
    "a value for millions of images": (
        _valued(WAYS[3], 0.0)
        and predict_request(np.empty((0, 28, 28), np.uint8), WAYS[3], (2**40, 28, 28)),
        (
            INVALID,
            "TOO_MANY_IMAGES",
            "inputs[images].tensor_shape: expected 1 to 1024 images, got 1099511627776",
        ),
    ),
    "a float over 1": (
        _valued(WAYS[3], 0.0, 255.0),
        (
            INVALID,
            "PIXELS_OUT_OF_RANGE",
            "inputs[images].float_val: expected floats from 0.0 to 1.0, got 255.0 "
            "(image 0, pixel 1); divide by 255, or send uint8",
        ),
    ),
    "an integer over 255": (
        _valued(WAYS[1], 0, 256),
        (
            INVALID,
            "PIXELS_OUT_OF_RANGE",
            "inputs[images].int_val: expected values from 0 to 255, got 256 (image 0, pixel 1)",
        ),
    ),
}


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "request_",
    [
        predict_request(NOISE, model=LONG),
        predict_request(NOISE, version_label=LONG),
        predict_request(NOISE, signature_name=LONG),
        put(request_of("Predict"), NOISE, WAYS[0], None, LONG),
        put(predict_request(NOISE), NOISE, WAYS[0], None, LONG),
        predict_request(NOISE, WAYS[0], (1,) * 50_000),
        _with(lambda request: request.output_filter.append(LONG)),
    ],
    ids=["model", "label", "signature", "input", "inputs", "shape", "output"],
)
def test_what_is_wrong_and_long_is_cut(serving: Serving, request_: Any) -> None:
    """A caller's words come back in metadata, which has little room."""
    with stub_of(serving) as stub:
        assert len(refused(stub.Predict, request_)[2]) < 600


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(serving: Serving, wrong: str) -> None:
    """As TensorFlow Serving says it; of tensors more, and which field of the request it is."""
    request, expected = WRONG[wrong]
    with stub_of(serving) as stub:
        *said, field = refused(stub.Predict, request)
    assert tuple(said) == expected
    assert bool(field) == (said[0] is INVALID)


class TestGetModelMetadata:
    def test_tells_the_signature(self, serving: Serving) -> None:
        """As a `SignatureDefMap` in an Any, with tensors' names, types and shapes."""
        request = request_of("GetModelMetadata")
        request.metadata_field.append("signature_def")
        with stub_of(serving) as stub:
            response = stub.GetModelMetadata(request)
        assert (response.model_spec.name, response.model_spec.version.value) == ("digits", 1)
        packed = response.metadata["signature_def"]
        assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        signatures = PROTOCOL.message("SignatureDefMap").FromString(packed.value)
        assert list(signatures.signature_def) == ["serving_default"]
        signature = signatures.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        assert {
            name: (info.dtype, [dim.size for dim in info.tensor_shape.dim])
            for name, info in (*signature.inputs.items(), *signature.outputs.items())
        } == {
            "images": (UINT8, [-1, 28, 28]),
            "digit": (INT64, [-1]),
            "probabilities": (FLOAT, [-1, 10]),
        }

    def test_tells_nothing_else(self, serving: Serving) -> None:
        """Neither of nothing in particular, nor of what is not known."""
        request = request_of("GetModelMetadata")
        with stub_of(serving) as stub:
            assert refused(stub.GetModelMetadata, request)[:3] == (
                INVALID,
                "METADATA_FIELD_MISSING",
                "GetModelMetadataRequest must specify at least one metadata_field",
            )
            request.metadata_field.append("weights")
            assert refused(stub.GetModelMetadata, request)[:3] == (
                INVALID,
                "METADATA_FIELD_UNKNOWN",
                "Metadata field weights is not supported",
            )


class TestGetModelStatus:
    def test_tells_how_every_version_is(self) -> None:
        """The newest first; what was refused is at its end, and says why."""
        with serving(versions=versions_of(InkEngine())) as up, stub_of(up) as stub:

            async def change() -> None:
                up.server.registry.loading(2)
                up.server.registry.refuse(3, "12.00% of the gate set")

            up.run(change())
            told = stub.GetModelStatus(request_of("GetModelStatus")).model_version_status
            (one,) = stub.GetModelStatus(
                request_of("GetModelStatus", version=1)
            ).model_version_status
        assert [(each.version, each.state) for each in told] == [(3, 50), (2, 20), (1, 30)]
        assert [each.status.error_code for each in told] == [9, 0, 0]
        assert told[0].status.error_message == "12.00% of the gate set"
        assert one == told[2]
        assert one.HasField("status")

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({"version": 9}, "Could not find version 9 of model digits"),
            ({"model": "x"}, "Could not find any versions of model x"),
            ({"model": "x", "version": 1}, "Could not find version 1 of model x"),
        ],
    )
    def test_knows_no_others(self, serving: Serving, spec: dict[str, Any], message: str) -> None:
        """In TensorFlow Serving's words."""
        with stub_of(serving) as stub:
            code, _, said, _ = refused(stub.GetModelStatus, request_of("GetModelStatus", **spec))
        assert (code, said) == (NOT_FOUND, message)

    def test_wants_a_model(self, serving: Serving) -> None:
        """Which, it does not guess."""
        with stub_of(serving) as stub:
            nothing = PROTOCOL.message("GetModelStatusRequest")()
            assert refused(stub.GetModelStatus, nothing)[0] is INVALID


class TestTheWayOfEveryPrediction:
    def test_versions_that_are_not_ready_are_told_apart(self) -> None:
        """One that is being loaded may be asked again; one that was refused not."""
        with serving(versions=versions_of(InkEngine())) as up, stub_of(up) as stub:

            async def change() -> None:
                up.server.registry.loading(2)
                up.server.registry.refuse(3, "worse")

            up.run(change())
            loading = refused(stub.Predict, predict_request(INK, version=2))
            gone = refused(stub.Predict, predict_request(INK, version=3))
        assert loading[:2] == (grpc.StatusCode.UNAVAILABLE, "VERSION_LOADING")
        assert gone[:2] == (PRECONDITION, "VERSION_REFUSED")

    def test_the_canary_answers_its_callers(self, tmp_path: Path) -> None:
        """Whoever names no version, as by `digitserve.v1`."""
        place_bundles(tmp_path, 1, 2)
        settings = "[labels]\nstable = 1\nnext = 2\n[canary]\nlabel = 'next'\nshare = 1.0\n"
        with watching(tmp_path, settings) as up, stub_of(up) as stub:
            assert answering(up) == 2
            assert stub.Predict(predict_request(INK)).model_spec.version.value == 2
            named = stub.Predict(predict_request(INK, version_label="stable"))
            assert named.model_spec.version.value == 1

    def test_a_full_queue_is_told(self) -> None:
        """What is in already stays in, whatever it came by."""
        config, engine = replace(TEST_CONFIG, max_queue_images=3), HeldEngine()
        with serving(config, versions_of(engine, inline=False)) as up, stub_of(up) as stub:
            first = stub.Predict.future(predict_request(INK))
            assert engine.entered.wait(timeout=60)
            said = refused(stub.Predict, predict_request(INK))
            engine.go.set()
            assert list(first.result().outputs["digit"].int64_val) == [7, 1, 4]
        assert said[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")

    def test_calls_are_counted(self) -> None:
        """By method and code, and their images by the version that answered."""
        with observed_server(versions=versions_of(InkEngine())) as (up, address):
            with stub_of(up) as stub:
                stub.Predict(predict_request(INK))
                refused(stub.Predict, predict_request(INK, version=9))
            told = scraped(address)
        method = f'method="{PREDICTION}/Predict"'
        assert told[f'digitserve_calls_total{{code="OK",{method}}}'] == 1
        assert told[f'digitserve_calls_total{{code="NOT_FOUND",{method}}}'] == 1
        assert told['digitserve_version_images_total{version="1"}'] == 3

    def test_callers_need_the_scope_and_have_their_rate(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever may predict may ask of the model too; who is over his rate is refused."""
        tokens = Tokens(tmp_path)
        reader, keeper = tokens.add("reader", "predict"), tokens.add("keeper", "admin")
        tokens.limit(images_per_second=1, burst=3)
        with guarding(tokens, monkeypatch) as guarded, stub_of(guarded.up) as stub:
            calls: list[tuple[Any, Any]] = [
                (stub.Predict, predict_request(INK)),
                (stub.GetModelStatus, request_of("GetModelStatus")),
            ]
            for call, request in calls:
                assert refused(call, request)[1] == "CREDENTIAL_MISSING"
                assert refused(call, request, metadata=bearer(keeper))[1] == "SCOPE_MISSING"
                call(request, metadata=bearer(reader))
            again = refused(stub.Predict, predict_request(INK), metadata=bearer(reader))
        assert again[1] == "RATE_EXCEEDED"


def test_bytes_that_are_no_message_are_refused(serving: Serving) -> None:
    """As at every other method."""
    with serving.channel() as channel:
        call: Any = channel.unary_unary(f"/{PREDICTION}/Predict")
        code, reason, message, _ = refused(call, b"\xff")
    assert (code, reason) == (INVALID, "NOT_A_MESSAGE")
    assert message == ": expected a PredictRequest"


@pytest.mark.parametrize(
    "path",
    [
        f"/{PREDICTION}/Classify",
        f"/{PREDICTION}/Regress",
        f"/{PREDICTION}/MultiInference",
        f"/{MODEL}/HandleReloadConfigRequest",
    ],
)
def test_what_is_not_served_is_unimplemented(serving: Serving, path: str) -> None:
    """There are no examples to classify, and no configuration to load again."""
    with serving.channel() as channel:
        assert refused(channel.unary_unary(path), b"")[0] is grpc.StatusCode.UNIMPLEMENTED


def test_it_can_be_switched_off() -> None:
    """Then it is not there."""
    config = replace(TEST_CONFIG, tensorflow_serving=False)
    with serving(config, versions_of(InkEngine())) as up, up.channel() as channel:
        stub = Stub(channel)
        assert refused(stub.Predict, predict_request(INK))[:2] == (
            grpc.StatusCode.UNIMPLEMENTED,
            "METHOD_UNKNOWN",
        )
        with pytest.raises(grpc.RpcError) as raised:
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=PREDICTION)
            )
        assert raised.value.code() is NOT_FOUND


@pytest.mark.parametrize("service", [PREDICTION, MODEL])
def test_health_is_told_of_it(serving: Serving, service: str) -> None:
    """SERVING once a model is ready."""
    with serving.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    assert status == health_pb2.HealthCheckResponse.SERVING
