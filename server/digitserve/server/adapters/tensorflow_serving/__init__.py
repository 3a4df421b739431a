"""TensorFlow Serving's API: its callers come as they are, and are answered by the same models.

The `.proto` files beside this say what is read and written; `messages.binpb` is made of them.
TensorFlow is not needed.
"""

from digitserve.server.adapters.tensorflow_serving.prediction import prediction_service
from digitserve.server.adapters.tensorflow_serving.status import model_service

__all__ = ["model_service", "prediction_service"]
