"""The supervisor's versions: it decides on them as one server does, and loads none.

    Watch ─▶ Deciding ─▶ a Decision ─▶ each worker follows

Its versions are stand-ins: they have a manifest and findings, and their images are the sums of what
the workers tell.
"""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from digitserve.server.codec import Images
from digitserve.server.engines import Answer
from digitserve.server.turns import Turns
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.settings import Share
from digitserve.server.versions.version import Entry, Findings, Version
from digitserve.server.workers.follower import Decision, Known
from digitserve.v1 import manifest_pb2


@dataclass(slots=True, eq=False)
class StandIn(Version):
    """A version that the workers have loaded.

    Attributes:
        serial: tells it from all others.
        path: of its bundle.
        digest: of its manifest.
        counted: the images that each worker ever told of, by the worker's serial.
    """

    serial: int = 0
    path: str = ""
    digest: str = ""
    counted: dict[int, int] = field(default_factory=dict)

    def count(self, worker: int, images: int) -> None:
        """Takes what a worker tells; what a dead one told is kept."""
        self.counted[worker] = images
        self.images = sum(self.counted.values())


class _Elsewhere:
    """The engine of a stand-in: its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, images: Images) -> Answer:
        """Nobody asks the supervisor."""
        raise NotImplementedError


def stand_in(
    number: int, manifest: bytes, findings: Findings, *, engine: str, serial: int, path: str
) -> StandIn:
    """Makes the stand-in of a version that the workers have prepared."""
    turns = Turns([_Elsewhere(engine)], inline=True, images=1)
    told = manifest_pb2.ModelManifest.FromString(manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    return StandIn(number, turns, told, findings, serial=serial, path=path, digest=digest)


class Deciding(Registry):
    """A registry whose every change is a new decision."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Is empty.

        Args:
            changed: told after each change.
        """
        super().__init__()
        self._changed = changed

    def loading(self, number: int) -> None:
        """A version is about to be loaded."""
        super().loading(number)
        self._changed()

    # It is done after every change, since any may matter to the shadow.
    def _connect_shadow(self) -> None:
        self._changed()

    def decision(self, preparing: Collection[int]) -> Decision:
        """What holds now; beside it these serials are being prepared."""
        return {
            "known": [_known(entry) for entry in self._entries.values()],
            "labels": dict(self._labels),
            "stable": self.stable,
            "canary": _share(self.settings.canary),
            "shadow": _share(self.settings.shadow),
            "preparing": sorted(preparing),
        }

    def broke(self, serial: int, why: str) -> None:
        """A worker says that a network broke turn after turn; if it is stable, it is no longer."""
        stable = self._stable
        if isinstance(stable, StandIn) and stable.serial == serial:
            self.lost(stable, why)


def _known(entry: Entry) -> Known:
    version = entry.version
    at_hand = version if isinstance(version, StandIn) else None
    return {
        "number": entry.number,
        "state": entry.state.name,
        "serial": at_hand.serial if at_hand else 0,
        "path": at_hand.path if at_hand else "",
        "digest": at_hand.digest if at_hand else "",
        "reason": entry.reason,
        "broken": entry.broken,
    }


def _share(share: Share | None) -> list[str | float] | None:
    return None if share is None else [share.label, share.share]
