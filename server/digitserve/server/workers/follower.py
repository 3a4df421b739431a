"""A worker's versions: what the supervisor decided, all of it at once.

A worker loads what it is told to and decides nothing: which version is stable, which labels there
are and who is refused comes as one `Decision`, and between two calls all of it holds.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from digitserve.server.versions.registry import BROKEN, Registry
from digitserve.server.versions.settings import Settings, Share
from digitserve.server.versions.version import Entry, State, Version

# Metrics of what the supervisor alone counts.
DECIDED = {"digitserve_versions_refused", "digitserve_rollbacks"}


class Known(TypedDict):
    """A version that the server knows.

    Attributes:
        number: its number.
        state: the name of its `State`.
        serial: tells it from what was loaded under this number before; 0: nothing is.
        path: of its bundle.
        digest: of its manifest, so that who comes late loads the same.
        reason: why it is refused.
        broken: whether it is so because its network broke at work.
    """

    number: int
    state: str
    serial: int
    path: str
    digest: str
    reason: str
    broken: bool


class Decision(TypedDict):
    """What all workers go by.

    Attributes:
        known: the versions.
        labels: whose each label is, without `stable`.
        stable: who answers by default.
        canary: label and share.
        shadow: label and share.
        preparing: serials of versions that are being prepared, not to be let go of.
    """

    known: list[Known]
    labels: dict[str, int]
    stable: int | None
    canary: list[Any] | None
    shadow: list[Any] | None
    preparing: list[int]


class Follower(Registry):
    """A registry that does as it is told."""

    def __init__(self, report: Callable[[Version, Exception], None]) -> None:
        """Is empty.

        Args:
            report: told of a stable version whose network breaks turn after turn.
        """
        super().__init__()
        self._report = report

    def follow(self, decision: Decision, loaded: Mapping[int, Version]) -> None:
        """Goes by a decision from now on.

        Args:
            decision: the decision.
            loaded: the versions by serial; those that are ready are among them.
        """
        before = [entry.version for entry in self._entries.values() if entry.version is not None]
        self._entries = {each["number"]: _entry(each, loaded) for each in decision["known"]}
        for entry in self._entries.values():
            if entry.version is not None:
                entry.version.on_failure = self._failed
        self._labels = dict(decision["labels"])
        canary, shadow = _share(decision["canary"]), _share(decision["shadow"])
        self.settings = Settings(canary=canary, shadow=shadow)
        stable = self._entries.get(decision["stable"] or 0)
        self._make_stable(None if stable is None else stable.version)
        self._connect_shadow()
        kept = {id(entry.version) for entry in self._entries.values()}
        for version in before:
            if id(version) not in kept:
                version.turns.close()

    def _failed(self, version: Version, error: Exception) -> None:
        if version is self._stable and version.failures and not version.failures % BROKEN:
            self._report(version, error)


def _entry(known: Known, loaded: Mapping[int, Version]) -> Entry:
    version = loaded[known["serial"]] if known["serial"] else None
    state = State[known["state"]]
    return Entry(known["number"], state, version, known["reason"], known["broken"])


def _share(told: list[Any] | None) -> Share | None:
    return None if told is None else Share(*told)
