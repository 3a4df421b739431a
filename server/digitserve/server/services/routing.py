"""Which version answers: the one that a request names, else `stable`, or the canary.

A caller who names no version is the canary's if its key, or its frame's id, falls into the canary's
share: always the same callers, whichever server they ask.
"""

from hashlib import blake2b
from typing import TypeAlias

from digitserve.server.services import Call
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2

# The metadata by which a caller names itself, so that a canary always or never answers it.
KEY = "digitserve-key"


Naming: TypeAlias = digits_pb2.PredictRequest | digits_pb2.StreamOptions


class Routing:
    """Chooses from a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def answering(self, number: int | None, label: str | None, call: Call) -> Version:
        """The version that answers a call; with neither number nor label its caller names none.

        Raises:
            DomainError: if it is not there, or not ready.
        """
        if number is None and label is None and self._falls_to_canary(call, ""):
            canary = self._canary()
            if canary is not None:
                return canary
        return self._registry.resolve(number, label)

    def takes_canary(self, request: Naming, call: Call, frame_id: str = "") -> bool:
        """Whether the canary answers this caller, or this frame."""
        return request.WhichOneof("model") is None and self._falls_to_canary(call, frame_id)

    def resolve(self, request: Naming, *, canary: bool) -> Version:
        """The version that answers.

        Raises:
            DomainError: if it is not there, or not ready.
        """
        number, label = named(request)
        if number is None and label is None and canary and (version := self._canary()) is not None:
            return version
        return self._registry.resolve(number, label)

    def _falls_to_canary(self, call: Call, frame_id: str) -> bool:
        canary = self._registry.settings.canary
        if canary is None or self._canary() is None:
            return False
        return _share(call.metadata(KEY) or frame_id or call.peer()) < canary.share

    def _canary(self) -> Version | None:
        canary = self._registry.settings.canary
        return None if canary is None else self._registry.bearing(canary.label)


def named(request: Naming) -> tuple[int | None, str | None]:
    """The version's number, or its label, as a request names it."""
    model = request.WhichOneof("model")
    return (
        request.version if model == "version" else None,
        request.label if model == "label" else None,
    )


def _share(key: str) -> float:
    """Where a key lies between 0 and 1: the same in every process."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big") / 2**32
