"""TensorFlow Serving's API: its callers come as they are, and are answered by the same models.

Its messages are read from `tensorflow_serving.binpb`, which `make stubs` makes of the `.proto`
beside it and what that imports (`imports/`).  TensorFlow is not needed.
"""

from digitserve.server.adapters.tensorflow_serving.prediction import prediction_service
from digitserve.server.adapters.tensorflow_serving.status import model_service

__all__ = ["model_service", "prediction_service"]
