"""What answers the protocol's calls, wired together; read when the first of them comes."""

from collections.abc import Callable

from digitserve.server.adapters.open_inference.infer import Inference
from digitserve.server.adapters.open_inference.metadata import Metadata
from digitserve.server.adapters.open_inference.repository import Repository
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.stream import InferStream
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Service, StreamCall
from digitserve.server.services.drain import Drain
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing
from digitserve.server.versions.registry import Registry


class Handlers:
    """The handlers of one server.

    Attributes:
        inference: answers requests.
        told: tells of server and model.
        repository: has versions changed.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        drain: Drain,
        admission: Admission,
        *,
        observer: Observer | None,
        models: Service,
        ready: Callable[[], bool],
    ) -> None:
        """See `open_inference_service`."""
        statistics = Statistics()
        predicting = Predicting(admission, observer)
        self.inference = Inference(Routing(registry), predicting, statistics, config.max_images)
        self.told = Metadata(config, registry, statistics, ready)
        self.repository = Repository(models, control=config.model_control)
        self._config, self._drain, self._observer = config, drain, observer

    async def stream(self, call: StreamCall) -> None:
        """ModelStreamInfer."""
        stream = InferStream(call, self._config, self.inference, self._observer)
        with self._drain.joined(stream):
            await stream.run()
        if stream.cut is not None:
            raise stream.cut
