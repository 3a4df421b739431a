"""The repository, in Triton's terms: each version is an entry of the one model.

What changes versions is ModelService's business: this asks it, and so the changes are those that
it allows, and of all workers.  Triton's clients can name no version but by the model's name:
`digits/3`.
"""

from typing import Any, TypeVar

from google.protobuf.message import Message

from digitserve.server.adapters.open_inference import words
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.adapters.open_inference.model import MODEL
from digitserve.server.errors import ControlOff, VersionRefused
from digitserve.server.services import Call, Service
from digitserve.v1 import models_pb2

T = TypeVar("T", bound=Message)

_VERSION = models_pb2.ModelVersion
_STATES = {
    _VERSION.STATE_LOADING: "LOADING",
    _VERSION.STATE_READY: "READY",
    _VERSION.STATE_REFUSED: "UNAVAILABLE",
}
_DEPENDENTS = "unload_dependents"


class Repository:
    """Asks a ModelService."""

    def __init__(self, models: Service, *, control: bool) -> None:
        """Asks `models`; `control`: whether callers may change versions at all."""
        self._methods = models.methods
        self._control = control

    async def index(self, request: Any, call: Call) -> Message:
        """RepositoryIndex: every version, with its state."""
        _check_repository(request)
        listed = await self._ask("ListVersions", models_pb2.ListVersionsRequest(), call, _LISTED)
        models = [
            {
                "name": MODEL,
                "version": str(each.version),
                "state": _STATES[each.state],
                "reason": each.reason,
            }
            for each in listed.versions
            if each.state == _VERSION.STATE_READY or not request.ready
        ]
        told: Message = message("RepositoryIndexResponse")(models=models)
        return told

    async def load(self, request: Any, call: Call) -> Message:
        """RepositoryModelLoad: one version, or whatever is there and not ready.

        Raises:
            DomainError: if it is not there, or not fit, or callers may change nothing.
        """
        self._check(request)
        number = _number(request, "load", ())
        if number:
            await self._load(number, call)
        else:
            listed = await self._ask(
                "ListVersions", models_pb2.ListVersionsRequest(), call, _LISTED
            )
            for each in listed.versions:
                if each.state != _VERSION.STATE_READY:
                    await self._load(each.version, call)
        loaded: Message = message("RepositoryModelLoadResponse")()
        return loaded

    async def unload(self, request: Any, call: Call) -> Message:
        """RepositoryModelUnload: one version, which bears no label.

        Raises:
            DomainError: if it is not there, or bears one, or callers may change nothing.
        """
        self._check(request)
        number = _number(request, "unload", (_DEPENDENTS,))
        if not number:
            raise words.no_version("unload")
        asked = models_pb2.UnloadVersionRequest(version=number)
        await self._ask("UnloadVersion", asked, call, models_pb2.UnloadVersionResponse)
        unloaded: Message = message("RepositoryModelUnloadResponse")()
        return unloaded

    async def _load(self, number: int, call: Call) -> None:
        asked = models_pb2.LoadVersionRequest(version=number)
        loaded = await self._ask("LoadVersion", asked, call, models_pb2.LoadVersionResponse)
        if loaded.version.state == _VERSION.STATE_REFUSED:
            raise VersionRefused(number, loaded.version.reason)

    def _check(self, request: Any) -> None:
        _check_repository(request)
        if not self._control:
            raise ControlOff

    async def _ask(self, method: str, request: Message, call: Call, expected: type[T]) -> T:
        """What ModelService answers, here or from the supervisor."""
        handle = self._methods[method].unary
        assert handle is not None
        response = await handle(request, call)
        if isinstance(response, bytes):
            return expected.FromString(response)
        assert isinstance(response, expected)
        return response


_LISTED = models_pb2.ListVersionsResponse


def _check_repository(request: Any) -> None:
    if request.repository_name:
        raise words.repository()


def _number(request: Any, kind: str, allowed: tuple[str, ...]) -> int:
    """The version that is meant; 0: none is named."""
    model, _, version = request.model_name.partition("/")
    if model != MODEL:
        raise words.unknown_model(request.model_name)
    for name, value in request.parameters.items():
        if name == "version":
            version = str(value.int64_param or value.string_param)
        elif name not in allowed:
            raise words.load_parameter(kind, name)
    if not version:
        return 0
    if not (version.isascii() and version.isdigit() and 0 < len(version) < 10):
        raise words.no_version(kind)
    return int(version)
