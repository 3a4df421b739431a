"""What stands beside DigitService on the same port: ModelService, health and reflection."""

import asyncio
import queue
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from digitserve.v1 import models_pb2
from support.engines import InkEngine
from support.serving import TEST_CONFIG, Serving, serving, versions_of

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_limits_are_told(serving: Serving) -> None:
    """What a client must keep to, and what it may ask for."""
    with serving.models() as stub:
        limits = stub.GetLimits(models_pb2.GetLimitsRequest())
    assert limits.max_images == 1024
    assert limits.max_message_bytes == 4 * 1024 * 1024
    assert list(limits.encodings) == [1, 2]
    assert list(limits.deliveries) == [1, 2, 3]
    assert (limits.max_in_flight_frames, limits.max_in_flight_images) == (64, 256)


def test_versions_are_listed(serving: Serving) -> None:
    """With state, labels, accuracy, description and engine."""
    with serving.models() as stub:
        (version,) = stub.ListVersions(models_pb2.ListVersionsRequest()).versions
    assert (version.version, list(version.labels)) == (1, ["stable"])
    assert version.state == models_pb2.ModelVersion.STATE_READY
    assert version.accuracy > 0.96
    assert version.description
    assert version.engine in {"litert", "tensorflow"}


@pytest.mark.parametrize(
    "service", ["", "digitserve.v1.DigitService", "digitserve.v1.ModelService"]
)
def test_health_is_told_for_each_service(serving: Serving, service: str) -> None:
    """SERVING once the model is ready."""
    with serving.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        assert stub.Check(request).status == SERVING


def test_health_of_an_unknown_service_is_not_found(serving: Serving) -> None:
    """As the health protocol lays down."""
    with serving.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="x.Y"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_watch_sees_the_drain_and_does_not_hold_it_up() -> None:
    """NOT_SERVING from its first moment; the watcher is let go when the drain is over."""
    with serving(versions=versions_of(InkEngine())) as up, up.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        draining = asyncio.run_coroutine_threadsafe(up.server.drain(0), up.loop)
        assert next(watch).status == NOT_SERVING
        assert draining.result(timeout=20) is True


def test_reflection_lists_every_service(serving: Serving) -> None:
    """So that grpcurl works without the protos."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with serving.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (response,) = stub.ServerReflectionInfo(iter([request]))
    assert {service.name for service in response.list_services_response.service} == {
        "digitserve.v1.DigitService",
        "digitserve.v1.ModelService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    }


def test_a_reflection_that_stays_open_does_not_hold_up_a_drain() -> None:
    """Nobody needs a credential to open one; it is let go when the drain is over."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    asked: queue.Queue[Any] = queue.Queue()
    with serving(versions=versions_of(InkEngine())) as up, up.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        told = stub.ServerReflectionInfo(iter(asked.get, None))
        asked.put(request)
        assert next(told).list_services_response.service
        assert up.run(asyncio.wait_for(up.server.drain(0), TEST_CONFIG.grace_s / 2)) is True
        asked.put(None)
        with pytest.raises(grpc.RpcError) as raised:
            next(told)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_reflection_describes_what_is_in_a_pool_of_its_own(serving: Serving) -> None:
    """A protocol that is not ours, as well as ours; what nobody knows is NOT_FOUND."""
    names = ["inference.GRPCInferenceService", "digitserve.v1.DigitService", "nobody.Knows"]
    with serving.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=n) for n in names]
        foreign, own, unknown = stub.ServerReflectionInfo(iter(asked))
    (file,) = foreign.file_descriptor_response.file_descriptor_proto
    assert b"ModelStreamInfer" in file
    assert own.file_descriptor_response.file_descriptor_proto
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
