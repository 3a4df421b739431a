"""The ModelService handlers: what the server can do, which versions it holds, which answers."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from google.protobuf.message import Message

from digitserve.server.codec import ENCODINGS
from digitserve.server.config import Config
from digitserve.server.errors import BadField, ControlOff
from digitserve.server.services import Call, Method, Service
from digitserve.server.services.streams import DELIVERIES
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Entry, State
from digitserve.server.versions.watch import Watch
from digitserve.v1 import models_pb2

Change: TypeAlias = Callable[[Any, Call], Awaitable[Message]]

_STATES = {
    State.LOADING: models_pb2.ModelVersion.STATE_LOADING,
    State.READY: models_pb2.ModelVersion.STATE_READY,
    State.REFUSED: models_pb2.ModelVersion.STATE_REFUSED,
}


def model_service(config: Config, registry: Registry, watch: Watch) -> Service:
    """Makes the service.  Changes are for callers of a server that was told to trust them."""
    return Service(
        "digitserve.v1.ModelService", _reads(config, registry) | _changes(config, registry, watch)
    )


def _reads(config: Config, registry: Registry) -> dict[str, Method]:
    async def get_limits(_: models_pb2.GetLimitsRequest, __: Call) -> Message:
        return models_pb2.GetLimitsResponse(
            max_images=config.max_images,
            max_message_bytes=config.max_message_bytes,
            encodings=ENCODINGS,
            deliveries=DELIVERIES,
            max_in_flight_frames=config.max_in_flight_frames,
            max_in_flight_images=config.max_in_flight_images,
            max_frame_id_bytes=config.max_frame_id_bytes,
        )

    async def list_versions(_: models_pb2.ListVersionsRequest, __: Call) -> Message:
        return models_pb2.ListVersionsResponse(
            versions=[_described(registry, *each) for each in registry.listed()]
        )

    return {
        "GetLimits": Method(models_pb2.GetLimitsRequest, get_limits),
        "ListVersions": Method(models_pb2.ListVersionsRequest, list_versions),
    }


def _changes(config: Config, registry: Registry, watch: Watch) -> dict[str, Method]:
    def described(number: int) -> models_pb2.ModelVersion:
        (found,) = (each for each in registry.listed() if each[0].number == number)
        return _described(registry, *found)

    async def load(request: models_pb2.LoadVersionRequest, _: Call) -> Message:
        await watch.load(_number(request.version))
        return models_pb2.LoadVersionResponse(version=described(request.version))

    async def promote(request: models_pb2.PromoteVersionRequest, _: Call) -> Message:
        registry.promote(_number(request.version), _expected(request))
        return models_pb2.PromoteVersionResponse(version=described(request.version))

    async def roll_back(request: models_pb2.RollBackVersionRequest, _: Call) -> Message:
        version = registry.roll_back(_expected(request))
        return models_pb2.RollBackVersionResponse(version=described(version.number))

    async def unload(request: models_pb2.UnloadVersionRequest, _: Call) -> Message:
        await watch.unload(_number(request.version))
        return models_pb2.UnloadVersionResponse()

    async def set_label(request: models_pb2.SetLabelRequest, _: Call) -> Message:
        number = _number(request.version) if request.HasField("version") else None
        registry.set_label(request.label, number)
        return models_pb2.SetLabelResponse()

    def controlled(request: type[Message], change: Change) -> Method:
        async def checked(message: Any, call: Call) -> Message:
            if not config.model_control:
                raise ControlOff
            return await change(message, call)

        return Method(request, checked)

    return {
        "LoadVersion": controlled(models_pb2.LoadVersionRequest, load),
        "PromoteVersion": controlled(models_pb2.PromoteVersionRequest, promote),
        "RollBackVersion": controlled(models_pb2.RollBackVersionRequest, roll_back),
        "UnloadVersion": controlled(models_pb2.UnloadVersionRequest, unload),
        "SetLabel": controlled(models_pb2.SetLabelRequest, set_label),
    }


def _expected(
    request: models_pb2.PromoteVersionRequest | models_pb2.RollBackVersionRequest,
) -> int | None:
    return request.expected_stable if request.HasField("expected_stable") else None


def _number(version: int) -> int:
    if not version:
        raise BadField("version", "VERSION_MISSING", "expected a version, from 1, got 0")
    return version


def _described(registry: Registry, entry: Entry, labels: list[str]) -> models_pb2.ModelVersion:
    told = models_pb2.ModelVersion(
        version=entry.number, state=_STATES[entry.state], labels=labels, reason=entry.reason
    )
    if entry.number in registry.shadow.tallies:
        images, agreed = registry.shadow.tallies[entry.number]
        told.shadow.images, told.shadow.agreed = images, agreed
    if (version := entry.version) is None:
        return told
    manifest, findings = version.manifest, version.findings
    told.description, told.engine = manifest.description, version.turns.engine.name
    told.images = version.images
    if manifest.HasField("evaluation"):
        told.accuracy = manifest.evaluation.accuracy
    if manifest.HasField("calibration"):
        told.rejection_threshold = manifest.calibration.rejection_threshold
    if findings.accuracy is not None:
        told.gate_accuracy = findings.accuracy
    if findings.image_us is not None:
        told.image_us = findings.image_us
    return told
