"""The services of TensorFlow Serving that are served here."""

from digitserve.server.adapters import Behind
from digitserve.server.adapters.tensorflow_serving.prediction import prediction_service
from digitserve.server.adapters.tensorflow_serving.status import model_service
from digitserve.server.services import Service


def tensorflow_serving_services(behind: Behind) -> tuple[Service, Service]:
    """Makes them."""
    predicts = prediction_service(behind.config, behind.registry, behind.admission, behind.observer)
    return predicts, model_service(behind.registry)
