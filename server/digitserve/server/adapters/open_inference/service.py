"""GRPCInferenceService: which handler answers what."""

from collections.abc import Callable

from digitserve.server.adapters.open_inference.infer import REQUEST, Inference
from digitserve.server.adapters.open_inference.messages import NAME, PROTOCOL
from digitserve.server.adapters.open_inference.messages import request as of
from digitserve.server.adapters.open_inference.metadata import Metadata
from digitserve.server.adapters.open_inference.repository import Repository
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.stream import InferStream
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Method, Service, StreamCall, unread
from digitserve.server.services.drain import Drain
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing
from digitserve.server.versions.registry import Registry


def open_inference_service(
    config: Config,
    registry: Registry,
    drain: Drain,
    admission: Admission,
    *,
    observer: Observer | None,
    models: Service,
    ready: Callable[[], bool],
) -> Service:
    """Makes the service.

    Args:
        config: how the server runs.
        registry: its versions.
        drain: what open streams are told by.
        admission: who is let in.
        observer: what sees each turn; None: nobody wants to know.
        models: the ModelService that changes versions.
        ready: whether calls are welcome.
    """
    statistics = Statistics()
    predicting = Predicting(admission, observer)
    inference = Inference(Routing(registry), predicting, statistics, config.max_images)
    told = Metadata(config, registry, statistics, ready)
    repository = Repository(models, control=config.model_control)

    async def model_stream_infer(call: StreamCall) -> None:
        stream = InferStream(call, config, inference, observer)
        with drain.joined(stream):
            await stream.run()
        if stream.cut is not None:
            raise stream.cut

    return Service(
        NAME,
        {
            "ServerLive": Method(of("ServerLiveRequest"), told.server_live),
            "ServerReady": Method(of("ServerReadyRequest"), told.server_ready),
            "ModelReady": Method(of("ModelReadyRequest"), told.model_ready),
            "ServerMetadata": Method(of("ServerMetadataRequest"), told.server_metadata),
            "ModelMetadata": Method(of("ModelMetadataRequest"), told.model_metadata),
            "ModelInfer": Method(unread(REQUEST), inference.infer, light=True),
            "ModelStreamInfer": Method(unread(REQUEST), stream=model_stream_infer),
            "ModelConfig": Method(of("ModelConfigRequest"), told.model_config),
            "ModelStatistics": Method(of("ModelStatisticsRequest"), told.model_statistics),
            "RepositoryIndex": Method(of("RepositoryIndexRequest"), repository.index),
            "RepositoryModelLoad": Method(of("RepositoryModelLoadRequest"), repository.load),
            "RepositoryModelUnload": Method(of("RepositoryModelUnloadRequest"), repository.unload),
        },
        pool=PROTOCOL.pool,
    )
