"""Which method wants which scope: said here, and only here.

A service, or a method, that nobody wrote down wants the most: it is better to be asked why than to
have been open.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a credential allows.  Neither implies the other."""

    PREDICT = "predict"
    ADMIN = "admin"


# Stands for every method that is not named.
_OTHERS: Final = ""

# None: open to all.
_TABLE: Mapping[str, Mapping[str, Scope | None]] = {
    "digitserve.v1.DigitService": {_OTHERS: Scope.PREDICT},
    "digitserve.v1.ModelService": {
        "GetLimits": Scope.PREDICT,
        "ListVersions": Scope.PREDICT,
        _OTHERS: Scope.ADMIN,
    },
    "inference.GRPCInferenceService": {
        "ServerLive": None,
        "ServerReady": None,
        "ModelReady": None,
        "RepositoryModelLoad": Scope.ADMIN,
        "RepositoryModelUnload": Scope.ADMIN,
        _OTHERS: Scope.PREDICT,
    },
    "tensorflow.serving.PredictionService": {_OTHERS: Scope.PREDICT},
    "tensorflow.serving.ModelService": {"GetModelStatus": Scope.PREDICT},
    # Whoever balances the load has no credential.
    "grpc.health.v1.Health": {_OTHERS: None},
    # It tells what the .proto files tell; `reflection = false` leaves it out.
    "grpc.reflection.v1alpha.ServerReflection": {_OTHERS: None},
    "grpc.reflection.v1.ServerReflection": {_OTHERS: None},
}


def scope_of(service: str, method: str) -> Scope | None:
    """The scope that a method wants; None if it is open."""
    methods = _TABLE.get(service, {})
    return methods.get(method, methods.get(_OTHERS, Scope.ADMIN))
