"""What answers the protocol's calls, wired together; read when the first of them comes."""

from digitserve.server.adapters import Behind
from digitserve.server.adapters.open_inference.infer import Inference
from digitserve.server.adapters.open_inference.metadata import Metadata
from digitserve.server.adapters.open_inference.repository import Repository
from digitserve.server.adapters.open_inference.statistics import Statistics
from digitserve.server.adapters.open_inference.stream import InferStream
from digitserve.server.services import StreamCall
from digitserve.server.services.predicting import Predicting
from digitserve.server.services.routing import Routing


class Handlers:
    """The handlers of one server.

    Attributes:
        inference: answers requests.
        told: tells of server and model.
        repository: has versions changed.
    """

    def __init__(self, behind: Behind) -> None:
        """Wires them together."""
        config, registry = behind.config, behind.registry
        statistics = Statistics()
        predicting = Predicting(behind.admission, behind.observer)
        self.inference = Inference(Routing(registry), predicting, statistics, config.max_images)
        self.told = Metadata(config, registry, statistics, behind.ready)
        self.repository = Repository(behind.models, control=config.model_control)
        self._behind = behind

    async def stream(self, call: StreamCall) -> None:
        """ModelStreamInfer."""
        behind = self._behind
        stream = InferStream(call, behind.config, self.inference, behind.observer)
        with behind.drain.joined(stream):
            await stream.run()
        if stream.cut is not None:
            raise stream.cut
