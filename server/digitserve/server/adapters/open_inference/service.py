"""The service, put together: what it tells of the server and its versions, and who infers."""

from collections.abc import Callable
from importlib.metadata import version as version_of
from typing import Any

from google.protobuf.message import Message

from digitserve.server.adapters.open_inference.infer import Infer
from digitserve.server.adapters.open_inference.messages import (
    MESSAGES,
    MODEL,
    PIXELS,
    Versions,
    check_model,
)
from digitserve.server.adapters.open_inference.repository import Repository
from digitserve.server.adapters.open_inference.responses import OUTPUTS
from digitserve.server.config import Config
from digitserve.server.errors import DomainError
from digitserve.server.services import Call, Method, Service
from digitserve.server.services.drain import Drain
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version

NAME = "inference.GRPCInferenceService"
_EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
_TYPES = {"UINT8": "TYPE_UINT8", "INT64": "TYPE_INT64", "FP32": "TYPE_FP32"}


def open_inference_service(
    config: Config,
    registry: Registry,
    predicting: Predicting,
    drain: Drain,
    *,
    models: Service,
    ready: Callable[[], bool],
) -> Service:
    """Makes the service.

    Args:
        config: how the server runs.
        registry: its versions.
        predicting: the way of every prediction.
        drain: told of the open streams.
        models: ModelService, which changes what is loaded.
        ready: whether the server is.
    """
    versions = Versions(Routing(registry))
    infer = Infer(predicting, versions, config.max_images, drain)
    tells = _Tells(config, registry, versions, infer, ready)
    repository = Repository(config, registry, models)
    named = {
        "ServerLive": tells.live,
        "ServerReady": tells.ready,
        "ModelReady": tells.model_ready,
        "ServerMetadata": tells.server,
        "ModelMetadata": tells.model,
        "ModelConfig": tells.config,
        "ModelStatistics": tells.statistics,
        "RepositoryIndex": repository.index,
        "RepositoryModelLoad": repository.load,
        "RepositoryModelUnload": repository.unload,
    }
    methods = {name: _told(name, answer) for name, answer in named.items()}
    request = MESSAGES.unread("ModelInferRequest")
    methods["ModelInfer"] = Method(request, unary=infer.unary, light=True)
    methods["ModelStreamInfer"] = Method(request, stream=infer.stream)
    return Service(NAME, methods)


def _told(name: str, answer: Callable[[Any, Call], Any]) -> Method:
    async def handle(data: bytes, call: Call) -> Message:
        message: Message = await answer(MESSAGES.parsed(data, f"{name}Request"), call)
        return message

    return Method(MESSAGES.unread(f"{name}Request"), unary=handle)


class _Tells:
    """What the server says of itself."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        versions: Versions,
        infer: Infer,
        ready: Callable[[], bool],
    ) -> None:
        self._config, self._registry, self._versions = config, registry, versions
        self._infer, self._ready = infer, ready

    async def live(self, _: Any, __: Call) -> Any:
        return MESSAGES.ServerLiveResponse(live=True)

    async def ready(self, _: Any, __: Call) -> Any:
        return MESSAGES.ServerReadyResponse(ready=self._ready())

    async def model_ready(self, request: Any, call: Call) -> Any:
        try:
            self._version(request, call)
        except DomainError:
            return MESSAGES.ModelReadyResponse(ready=False)
        return MESSAGES.ModelReadyResponse(ready=self._ready())

    async def server(self, _: Any, __: Call) -> Any:
        return MESSAGES.ServerMetadataResponse(
            name="digitserve", version=version_of("digitserve"), extensions=_EXTENSIONS
        )

    async def model(self, request: Any, call: Call) -> Any:
        version = self._version(request, call)
        numbers = [str(entry.number) for entry, _ in self._registry.listed() if entry.version]
        return MESSAGES.ModelMetadataResponse(
            name=MODEL,
            versions=numbers,
            platform=version.turns.engine.name,
            inputs=[{"name": PIXELS, "datatype": "UINT8", "shape": [-1, 28, 28]}],
            outputs=[
                {"name": name, "datatype": each.datatype, "shape": [-1, each.width]}
                for name, each in OUTPUTS.items()
            ],
        )

    async def config(self, request: Any, call: Call) -> Any:
        version = self._version(request, call)
        return MESSAGES.ModelConfigResponse(
            config={
                "name": MODEL,
                "backend": version.turns.engine.name,
                "max_batch_size": self._config.max_images,
                "input": [{"name": PIXELS, "data_type": _TYPES["UINT8"], "dims": [28, 28]}],
                "output": [
                    {"name": name, "data_type": _TYPES[each.datatype], "dims": [each.width]}
                    for name, each in OUTPUTS.items()
                ],
                "model_transaction_policy": {"decoupled": False},
            }
        )

    async def statistics(self, request: Any, call: Call) -> Any:
        if request.name or request.version:
            wanted = [self._version(request, call).number] if request.version else None
            check_model(request.name)
        else:
            wanted = None
        told = [
            {"name": MODEL, "version": str(entry.number)} | self._infer.tallies[entry.number].told()
            for entry, _ in self._registry.listed()
            if entry.version and (wanted is None or entry.number in wanted)
        ]
        return MESSAGES.ModelStatisticsResponse(model_stats=told)

    def _version(self, request: Any, call: Call) -> Version:
        check_model(request.name)
        return self._versions.answering(request.version, "version", call)
