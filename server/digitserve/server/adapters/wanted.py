"""The protocols of other servers that the configuration wants; what nobody wants is not read."""

from digitserve.server.adapters import Behind
from digitserve.server.services import Service


def adapters_of(behind: Behind) -> list[Service]:
    """Makes their services."""
    made: list[Service] = []
    if behind.config.open_inference:
        from digitserve.server.adapters.open_inference.service import (  # noqa: PLC0415
            open_inference_service,
        )

        made.append(open_inference_service(behind))
    if behind.config.tensorflow_serving:
        from digitserve.server.adapters.tensorflow_serving.service import (  # noqa: PLC0415
            tensorflow_serving_services,
        )

        made += tensorflow_serving_services(behind)
    return made
