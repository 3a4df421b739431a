"""The ModelService handlers: what the server can do and which versions it holds."""

from google.protobuf.message import Message

from digitserve.server.codec import ENCODINGS
from digitserve.server.config import Config
from digitserve.server.errors import NotServed
from digitserve.server.services import Call, Method, Service
from digitserve.server.services.streams import DELIVERIES
from digitserve.server.versions.registry import Registry, Version
from digitserve.v1 import models_pb2

_NAME = "digitserve.v1.ModelService"


def model_service(config: Config, registry: Registry) -> Service:
    """Makes the service.  What would change a version is not served yet, and says so."""

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
            versions=[_described(version, labels) for version, labels in registry.listed()]
        )

    served = {
        "GetLimits": Method(models_pb2.GetLimitsRequest, get_limits),
        "ListVersions": Method(models_pb2.ListVersionsRequest, list_versions),
    }
    later = {
        "LoadVersion": models_pb2.LoadVersionRequest,
        "PromoteVersion": models_pb2.PromoteVersionRequest,
        "RollBackVersion": models_pb2.RollBackVersionRequest,
        "UnloadVersion": models_pb2.UnloadVersionRequest,
        "SetLabel": models_pb2.SetLabelRequest,
    }
    return Service(_NAME, served | {name: _not_served(name, of) for name, of in later.items()})


def _not_served(name: str, request: type[Message]) -> Method:
    async def refuse(_: Message, __: Call) -> Message:
        raise NotServed(f"{_NAME}/{name}")

    return Method(request, refuse)


def _described(version: Version, labels: list[str]) -> models_pb2.ModelVersion:
    manifest = version.manifest
    return models_pb2.ModelVersion(
        version=version.number,
        state=models_pb2.ModelVersion.STATE_READY,
        labels=labels,
        accuracy=manifest.evaluation.accuracy if manifest.HasField("evaluation") else None,
        description=manifest.description,
        engine=version.turns.engine.name,
    )
