"""The services of TensorFlow Serving that are served here."""

from digitserve.server.adapters.tensorflow_serving.prediction import prediction_service
from digitserve.server.adapters.tensorflow_serving.status import model_service
from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Service
from digitserve.server.versions.registry import Registry


def tensorflow_serving_services(
    config: Config, registry: Registry, admission: Admission, observer: Observer | None = None
) -> tuple[Service, Service]:
    """Makes them; `observer`, if any, sees what came of each turn."""
    return prediction_service(config, registry, admission, observer), model_service(registry)
