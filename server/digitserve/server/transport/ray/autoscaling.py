"""How many replicas there are to be: by what they hold and how busy they are, not by open calls.

Ray's own policy counts calls.  A stream is one call for hours, whether a camera sends thirty frames
in a second or none, and a health watch is one for ever.  Images that wait say that the network is
the bottleneck; where it is fast, an image never waits, and the event loop's share of a core does.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from digitserve.server.admission import Admission

IMAGES, BUSY = "images", "busy"


class Load:
    """What a replica tells Ray."""

    def __init__(
        self,
        admission: Admission,
        clock: Callable[[], float] = time.monotonic,
        works: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begins; on the thread that does the work, whose seconds of it `works` tells."""
        self._admission = admission
        self._clock, self._works = clock, works
        self._looked = clock(), works()

    def look(self) -> dict[str, float]:
        """The images that are in, over all callers; the share of a core since the last look."""
        (before, worked), self._looked = self._looked, (self._clock(), self._works())
        now, works = self._looked
        busy = (works - worked) / (now - before) if now > before else 0.0
        return {IMAGES: float(self._admission.images), BUSY: busy}


class Scaling(Protocol):
    """What Ray tells of a deployment.

    Attributes:
        target_num_replicas: how many replicas it is to have now.
        aggregated_metrics: of each name, what each replica said, over the look-back period.
    """

    target_num_replicas: int
    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None


class ByLoad:
    """So many replicas that none has more to do than it is to: a `policy_function` of Ray's."""

    def __init__(self, images_per_replica: float, busy_per_replica: float) -> None:
        """Expects so many images in a replica, and so much of a core."""
        self._wanted = {IMAGES: images_per_replica, BUSY: busy_per_replica}
        for name, wanted in self._wanted.items():
            if not wanted > 0:
                raise ValueError(f"{name}_per_replica: expected more than 0, got {wanted}")

    def __call__(self, scaling: Scaling) -> tuple[int, dict[str, Any]]:
        """How many there are to be; Ray keeps that within its bounds, and waits its delays."""
        told = scaling.aggregated_metrics or {}
        needed = [
            math.ceil(sum(told[name].values()) / wanted)
            for name, wanted in self._wanted.items()
            if told.get(name)
        ]
        # Before any replica has said anything there is no reason to change.
        return max(needed, default=scaling.target_num_replicas), {}
