"""The repository: which versions there are, and having one loaded or let go of.

Changes go through ModelService: what it refuses is refused here.
"""

from typing import Any

from digitserve.server.adapters.open_inference.messages import MESSAGES, MODEL, check_model
from digitserve.server.config import Config
from digitserve.server.errors import BadField
from digitserve.server.services import Call, Service
from digitserve.server.versions.loading import found
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import State
from digitserve.v1 import models_pb2

_STATES = {State.LOADING: "LOADING", State.READY: "READY", State.REFUSED: "UNAVAILABLE"}
# The parameter that names a version: the protocol itself names models alone.
_VERSION = "version"


class Repository:
    """Tells and changes what is loaded."""

    def __init__(self, config: Config, registry: Registry, models: Service) -> None:
        self._config, self._registry, self._models = config, registry, models

    async def index(self, request: Any, _: Call) -> Any:
        """RepositoryIndex."""
        _check_repository(request)
        told = [
            {
                "name": MODEL,
                "version": str(entry.number),
                "state": _STATES[entry.state],
                "reason": entry.reason,
            }
            for entry, _ in self._registry.listed()
            if entry.state is State.READY or not request.ready
        ]
        return MESSAGES.RepositoryIndexResponse(models=told)

    async def load(self, request: Any, call: Call) -> Any:
        """RepositoryModelLoad: the version that a parameter names, else the newest there is."""
        _check_repository(request)
        check_model(request.model_name)
        number = _named(request) or max(found(self._config))
        load = self._models.methods["LoadVersion"].unary
        assert load is not None
        await load(models_pb2.LoadVersionRequest(version=number), call)
        return MESSAGES.RepositoryModelLoadResponse()

    async def unload(self, request: Any, call: Call) -> Any:
        """RepositoryModelUnload: of the version that a parameter names."""
        _check_repository(request)
        check_model(request.model_name)
        number = _named(request)
        if number is None:
            expected = f"a parameter {_VERSION!r}: the last version is not let go of"
            raise BadField("parameters", "VERSION_MISSING", f"expected {expected}")
        unload = self._models.methods["UnloadVersion"].unary
        assert unload is not None
        await unload(models_pb2.UnloadVersionRequest(version=number), call)
        return MESSAGES.RepositoryModelUnloadResponse()


def _check_repository(request: Any) -> None:
    if request.repository_name:
        expected = "none: there is one repository"
        raise BadField(
            "repository_name",
            "REPOSITORY_UNKNOWN",
            f"expected {expected}, got {request.repository_name!r}",
        )


def _named(request: Any) -> int | None:
    if _VERSION not in request.parameters:
        return None
    parameter = request.parameters[_VERSION]
    told = parameter.string_param or str(parameter.int64_param)
    if not (told.isascii() and told.isdigit() and int(told)):
        expected = "a number from 1, as a string or an integer"
        raise BadField(
            f"parameters[{_VERSION!r}]", "VERSION_INVALID", f"expected {expected}, got {told!r}"
        )
    return int(told)
