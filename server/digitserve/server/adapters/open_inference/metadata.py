"""What the server tells of itself and of its model."""

from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Any

from google.protobuf.message import Message

from digitserve.server.adapters.open_inference import words
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.adapters.open_inference.model import DATATYPES, INPUT, MODEL, OUTPUTS
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.versions import numbered
from digitserve.server.codec import SIDE
from digitserve.server.config import Config
from digitserve.server.errors import (
    NoModelReady,
    UnknownModel,
    VersionLoading,
    VersionRefused,
)
from digitserve.server.services import Call
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version

_EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
)
_DATATYPE = next(iter(DATATYPES))
_ANY = -1


class Metadata:
    """Tells; changes nothing, and computes nothing."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        statistics: Statistics,
        ready: Callable[[], bool],
    ) -> None:
        """Tells of `registry`'s versions; `ready`: whether calls are welcome."""
        self._config, self._registry = config, registry
        self._statistics, self._ready = statistics, ready

    async def server_live(self, _: Any, __: Call) -> Message:
        """It lives, if it answers."""
        return _made("ServerLiveResponse", live=True)

    async def server_ready(self, _: Any, __: Call) -> Message:
        """As the server's health says."""
        return _made("ServerReadyResponse", ready=self._ready())

    async def model_ready(self, request: Any, _: Call) -> Message:
        """Whether a version answers; no error if it does not, whyever, as at Triton's."""
        number, label = numbered(request.version)
        try:
            ready = request.name == MODEL and bool(self._named(number, label)) and self._ready()
        except (NoModelReady, UnknownModel, VersionLoading, VersionRefused):
            ready = False
        return _made("ModelReadyResponse", ready=ready)

    async def server_metadata(self, _: Any, __: Call) -> Message:
        """Which server this is."""
        return _made(
            "ServerMetadataResponse",
            name="digitserve",
            version=installed("digitserve"),
            extensions=_EXTENSIONS,
        )

    async def model_metadata(self, request: Any, _: Call) -> Message:
        """Versions and tensors."""
        versions = self._asked(request.name, request.version)
        return _made(
            "ModelMetadataResponse",
            name=MODEL,
            versions=[str(each.number) for each in versions],
            platform="digitserve",
            inputs=[{"name": INPUT, "datatype": _DATATYPE, "shape": [_ANY, SIDE, SIDE]}],
            outputs=[
                {"name": each.name, "datatype": each.datatype, "shape": [_ANY, each.width]}
                for each in OUTPUTS
            ],
        )

    async def model_config(self, request: Any, _: Call) -> Message:
        """The same as a configuration, with what a batch may be."""
        versions = self._asked(request.name, request.version)
        light = all(each.turns.inline for each in versions)
        engines = 1 if light else self._config.engine_threads
        return _made(
            "ModelConfigResponse",
            config={
                "name": MODEL,
                "backend": "digitserve",
                "version_policy": {"all": {}},
                "max_batch_size": self._config.max_images,
                "input": [{"name": INPUT, "data_type": f"TYPE_{_DATATYPE}", "dims": [SIDE, SIDE]}],
                "output": [
                    {"name": each.name, "data_type": f"TYPE_{each.datatype}", "dims": [each.width]}
                    for each in OUTPUTS
                ],
                "instance_group": [{"name": f"{MODEL}_0", "count": engines, "kind": "KIND_CPU"}],
                "model_transaction_policy": {"decoupled": False},
            },
        )

    async def model_statistics(self, request: Any, _: Call) -> Message:
        """What the versions have done for this protocol's callers; of all models, if none is named.

        Raises:
            DomainError: if there is no such model or version.
        """
        if request.name not in {"", MODEL}:
            raise words.no_statistics(request.name)
        try:
            versions = self._named(*numbered(request.version))
        except UnknownModel:
            raise words.no_statistics_of_version() from None
        told: Message = self._statistics.told(each.number for each in versions)
        return told

    def _asked(self, model: str, version: str) -> list[Version]:
        """The versions that a request is about.

        Raises:
            UnknownForeignModel: if there are none such.
        """
        if model != MODEL:
            raise words.unknown_model(model)
        number, label = numbered(version)
        try:
            return self._named(number, label)
        except UnknownModel as error:
            raise words.unknown_version(error, version) from None

    def _named(self, number: int | None, label: str | None) -> list[Version]:
        """Those that are ready: all, or the one that is named.

        Raises:
            NoModelReady, UnknownModel, VersionLoading, VersionRefused: if that one is not.
        """
        if number is None and label is None:
            return [
                entry.version for entry, _ in self._registry.listed() if entry.version is not None
            ]
        return [self._registry.resolve(number, label)]


def _made(kind: str, /, **fields: Any) -> Message:
    made: Message = message(kind)(**fields)
    return made
