"""The protocols of other servers that the configuration wants; what nobody wants is not read."""

from collections.abc import Callable

from digitserve.server.admission import Admission
from digitserve.server.config import Config
from digitserve.server.observe.observer import Observer
from digitserve.server.services import Service
from digitserve.server.services.drain import Drain
from digitserve.server.versions.registry import Registry


def adapters_of(
    config: Config,
    registry: Registry,
    drain: Drain,
    admission: Admission,
    *,
    observer: Observer | None,
    models: Service,
    ready: Callable[[], bool],
) -> list[Service]:
    """Makes their services.

    Args:
        config: how the server runs.
        registry: its versions.
        drain: what open streams are told by.
        admission: who is let in.
        observer: what sees each turn; None: nobody wants to know.
        models: the ModelService that changes versions.
        ready: whether calls are welcome.
    """
    made: list[Service] = []
    if config.open_inference:
        from digitserve.server.adapters.open_inference.service import (  # noqa: PLC0415
            open_inference_service,
        )

        made.append(
            open_inference_service(
                config, registry, drain, admission, observer=observer, models=models, ready=ready
            )
        )
    if config.tensorflow_serving:
        from digitserve.server.adapters.tensorflow_serving.service import (  # noqa: PLC0415
            tensorflow_serving_services,
        )

        made += tensorflow_serving_services(config, registry, admission, observer)
    return made
