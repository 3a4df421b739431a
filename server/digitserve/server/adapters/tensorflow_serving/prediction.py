"""PredictionService's handlers, as far as a network that reads digits has any.

    PredictRequest ─▶ model, signature, input ─▶ images ─▶ the way of every prediction ─▶ tensors

The versions of the server are those of one model, `digits`, with one signature.
"""

from typing import Any

from digitserve.server.adapters.tensorflow_serving import answers, naming, tensors
from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.errors import BadForeignField
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Call, Method, Service
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing
from digitserve.server.texts import abridged
from digitserve.server.versions.registry import Registry

_INPUT = "images"
_SIGNATURE_DEF = "signature_def"


def prediction_service(
    config: Config, registry: Registry, admission: Admission, observer: Observer | None = None
) -> Service:
    """Makes the service; `observer`, if any, sees what came of each turn."""
    routing = Routing(registry)
    predicting = Predicting(admission, observer)

    async def predict(request: Any, call: Call) -> bytes:
        spec = naming.spec_of(request)
        version = naming.answering(spec, routing, call)
        naming.check_signature(spec)
        naming.check_inputs(request.inputs, _INPUT)
        images = tensors.images_of(request.inputs[_INPUT], _INPUT, config.max_images)
        wanted = naming.outputs_of(request.output_filter, answers.OUTPUTS)
        turn = await predicting.predict(images, version, call)
        return answers.written(turn.answer, version.number, wanted)

    async def get_model_metadata(request: Any, call: Call) -> Any:
        spec = naming.spec_of(request)
        _check_fields(request.metadata_field)
        version = naming.answering(spec, routing, call)
        response = PROTOCOL.message("GetModelMetadataResponse")()
        response.model_spec.name = naming.MODEL
        response.model_spec.version.value = version.number
        response.metadata[_SIGNATURE_DEF].Pack(_signatures())
        return response

    return Service(
        "tensorflow.serving.PredictionService",
        {
            "Predict": Method(PROTOCOL.request("PredictRequest"), predict, light=True),
            "GetModelMetadata": Method(
                PROTOCOL.request("GetModelMetadataRequest"), get_model_metadata
            ),
        },
    )


def _check_fields(fields: Any) -> None:
    """Refuses to tell of a model what is not known."""
    if not fields:
        why = "GetModelMetadataRequest must specify at least one metadata_field"
        raise BadForeignField("metadata_field", "METADATA_FIELD_MISSING", why)
    for name in fields:
        if name != _SIGNATURE_DEF:
            why = f"Metadata field {abridged(name)} is not supported"
            raise BadForeignField("metadata_field", "METADATA_FIELD_UNKNOWN", why)


def _signatures() -> Any:
    """The `SignatureDefMap`: of what is taken it can tell one type and shape, the usual ones."""
    signatures = PROTOCOL.message("SignatureDefMap")()
    signature = signatures.signature_def[naming.SIGNATURE]
    signature.method_name = "tensorflow/serving/predict"
    _describe(signature.inputs[_INPUT], naming.FEED.format(_INPUT), tensors.UINT8, (28, 28))
    for at, (name, output) in enumerate(answers.OUTPUTS.items()):
        fetch = f"StatefulPartitionedCall:{at}"  # as a graph would call it
        _describe(signature.outputs[name], fetch, output.dtype, output.sizes)
    return signatures


def _describe(info: Any, name: str, dtype: int, sizes: tuple[int, ...]) -> None:
    """Fills a `TensorInfo`, for any number of images."""
    info.name, info.dtype = name, dtype
    for size in (-1, *sizes):
        info.tensor_shape.dim.add(size=size)
