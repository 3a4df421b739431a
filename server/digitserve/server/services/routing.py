"""Which version answers: the one that a request names, else `stable`, or the canary.

A caller who names no version is the canary's if its key, or its frame's id, falls into the canary's
share: always the same callers, whichever server they ask.
"""

from hashlib import blake2b

from digitserve.server.services import Call
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2

# The metadata by which a caller names itself, so that a canary always or never answers it.
KEY = "digitserve-key"


class Routing:
    """Chooses from a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def takes_canary(
        self,
        request: digits_pb2.PredictRequest | digits_pb2.StreamOptions,
        call: Call,
        frame_id: str = "",
    ) -> bool:
        """Whether the canary answers this caller, or this frame."""
        canary = self._registry.settings.canary
        if canary is None or request.WhichOneof("model") or self._canary() is None:
            return False
        return _share(call.metadata(KEY) or frame_id or call.peer()) < canary.share

    def resolve(
        self, request: digits_pb2.PredictRequest | digits_pb2.StreamOptions, *, canary: bool
    ) -> Version:
        """The version that answers.

        Raises:
            DomainError: if it is not there, or not ready.
        """
        named = request.WhichOneof("model")
        if named is None and canary and (version := self._canary()) is not None:
            return version
        return self._registry.resolve(
            request.version if named == "version" else None,
            request.label if named == "label" else None,
        )

    def _canary(self) -> Version | None:
        canary = self._registry.settings.canary
        return None if canary is None else self._registry.bearing(canary.label)


def _share(key: str) -> float:
    """Where a key lies between 0 and 1: the same in every process."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big") / 2**32
