"""A stand-in for a server's ModelService, which says what it is told to."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from digitserve.v1 import models_pb2, models_pb2_grpc

READY = models_pb2.ModelVersion.STATE_READY
REFUSED = models_pb2.ModelVersion.STATE_REFUSED
NEWER: Any = 99  # a state that the contract does not have yet

# Every field that there is, and hardly any.
FULL = models_pb2.ModelVersion(
    version=2,
    state=READY,
    labels=["canary", "stable"],
    accuracy=0.9951,
    description="a cnn, three seeds",
    engine="litert",
    gate_accuracy=0.9925,
    image_us=41.5,
    rejection_threshold=0.625,
    images=1_234_567,
    shadow=models_pb2.Shadow(images=400, agreed=397),
)
BARE = models_pb2.ModelVersion(version=1, state=READY)
BAD = models_pb2.ModelVersion(
    version=3, state=REFUSED, engine="litert", reason="gate accuracy 0.81, at least 0.95 is wanted"
)


@dataclass
class ModelKeeper(models_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """Answers with its versions; changes none.

    Attributes:
        versions: those that it lists; what rolls back gives the first.
        refusal: what it says to every call, if anything.
        asked: every request, also those that were refused.
        left: the seconds that each of them had.
    """

    versions: list[models_pb2.ModelVersion] = field(default_factory=lambda: [BARE, FULL, BAD])
    refusal: status_pb2.Status | None = None
    asked: list[Any] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    def refuse(self, code: grpc.StatusCode, message: str, reason: str = "") -> None:
        """Says no from now on; without a reason, as gRPC itself would."""
        self.refusal = status_pb2.Status(code=code.value[0], message=message)
        if reason:
            info = any_pb2.Any()
            info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="digitserve"))
            self.refusal.details.append(info)

    def ListVersions(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """All of them."""
        self._take(request, context)
        return models_pb2.ListVersionsResponse(versions=self.versions)

    def LoadVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The one that was named."""
        self._take(request, context)
        return models_pb2.LoadVersionResponse(version=self._named(request.version))

    def PromoteVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The one that was named."""
        self._take(request, context)
        return models_pb2.PromoteVersionResponse(version=self._named(request.version))

    def RollBackVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The first."""
        self._take(request, context)
        return models_pb2.RollBackVersionResponse(version=self.versions[0])

    def UnloadVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing."""
        self._take(request, context)
        return models_pb2.UnloadVersionResponse()

    def SetLabel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing."""
        self._take(request, context)
        return models_pb2.SetLabelResponse()

    def _take(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        self.left.append(context.time_remaining())
        if self.refusal is not None:
            context.abort_with_status(rpc_status.to_status(self.refusal))

    def _named(self, version: int) -> models_pb2.ModelVersion:
        return next(each for each in self.versions if each.version == version)


@contextmanager
def keeping() -> Iterator[tuple[ModelKeeper, str]]:
    """A keeper and its address."""
    keeper = ModelKeeper()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        models_pb2_grpc.add_ModelServiceServicer_to_server(keeper, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield keeper, f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
