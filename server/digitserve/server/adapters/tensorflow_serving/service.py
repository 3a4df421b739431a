"""The services of TensorFlow Serving that are served here.

Handlers and messages are read when the first call comes: a server that nobody asks this way starts
as fast as one that could not be.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from digitserve.server.adapters import Behind
from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.services import Method, Service


def tensorflow_serving_services(behind: Behind) -> tuple[Service, Service]:
    """Makes them."""

    @cache
    def prediction() -> Service:
        from digitserve.server.adapters.tensorflow_serving.prediction import (  # noqa: PLC0415
            prediction_service,
        )

        return prediction_service(behind.config, behind.registry, behind.admission, behind.observer)

    @cache
    def model() -> Service:
        from digitserve.server.adapters.tensorflow_serving.status import (  # noqa: PLC0415
            model_service,
        )

        return model_service(behind.registry)

    return (
        _later("PredictionService", prediction, "Predict", "GetModelMetadata"),
        _later("ModelService", model, "GetModelStatus"),
    )


def _later(name: str, made: Callable[[], Service], *methods: str) -> Service:
    """A service that is made when it is called."""

    def method(called: str) -> Method:
        def handled(*asked: Any) -> Coroutine[Any, Any, Any]:
            handle = made().methods[called].unary
            assert handle is not None
            return handle(*asked)

        return Method(PROTOCOL.request(f"{called}Request"), handled, light=called == "Predict")

    return Service(
        f"tensorflow.serving.{name}", {each: method(each) for each in methods}, PROTOCOL.pool
    )
