"""TensorFlow Serving's API over the wire: the same answers as digitserve.v1's, by the same way."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

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
    NOISE,
    PREDICTION,
    WAYS,
    Stub,
    predict_request,
    refused,
    request_of,
    stub_of,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

INK = np.zeros((3, 28, 28), np.uint8)
INK[:, 0, 0] = [7, 1, 4]  # what InkEngine reads


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


def test_a_server_reads_no_messages_that_nobody_sends() -> None:
    """So it starts no later than without."""
    code = (
        "from support.serving import serving\n"
        "from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL\n"
        "with serving():\n"
        "  print(PROTOCOL.pool.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "0"
