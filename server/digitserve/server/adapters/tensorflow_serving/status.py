"""ModelService's handler: how the versions of a model are."""

from typing import Any

from google.rpc import code_pb2

from digitserve.server.adapters.tensorflow_serving import naming
from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.services import Call, Method, Service
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.version import State

# Where a version is in TensorFlow Serving's life of one: what was refused is at its end.
_STATES = {State.LOADING: "LOADING", State.READY: "AVAILABLE", State.REFUSED: "END"}


def model_service(registry: Registry) -> Service:
    """Makes the service.  It changes nothing: `ReloadConfig` is not there."""

    async def get_model_status(request: Any, __: Call) -> Any:
        spec = naming.spec_of(request)
        number, _ = naming.version_of(spec)
        known = registry.known if spec.name == naming.MODEL else {}
        told = [entry for entry in known.values() if number in {None, entry.number}]
        if not told:
            raise naming.not_known(spec, registry.known)
        response = PROTOCOL.message("GetModelStatusResponse")()
        for entry in sorted(told, key=lambda entry: entry.number, reverse=True):
            status = response.model_version_status.add(
                version=entry.number, state=_STATES[entry.state]
            )
            status.status.SetInParent()
            if entry.state is State.REFUSED:
                status.status.error_code = code_pb2.FAILED_PRECONDITION
                status.status.error_message = entry.reason
        return response

    return Service(
        "tensorflow.serving.ModelService",
        {"GetModelStatus": Method(PROTOCOL.request("GetModelStatusRequest"), get_model_status)},
    )
