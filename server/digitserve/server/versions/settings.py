"""`models.toml`: which versions are loaded, which labels they bear, and what they must pass.

[policy]
latest = 2             # the newest two (default); or: all = true; or: specific = [1, 3]

[labels]
stable = 3             # pinned; left out, the newest that passed its gates
canary = 4

[canary]               # answers a share of the callers who name no version
label = "canary"
share = 0.05

[shadow]               # is asked as well, and never answers
label = "next"

[gates]
accuracy = 0.9         # of the gate set
margin = 0.005         # by which it may be worse than what is stable
image_us = 500         # microseconds for one image
set = "digits.npz"     # `images` uint8[N, 28, 28] and `labels`; left out, 500 drawn digits
"""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitserve.server.versions.bundle import BundleError

SETTINGS = "models.toml"
STABLE = "stable"
LAST_VERSION = 2**64 - 1  # that the contract can say

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_label(name: str) -> bool:
    """Whether a label may be called so: lower-case letters, digits and dashes."""
    return _LABEL.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """Which versions of a folder are loaded.

    Attributes:
        latest: how many, the newest first; None: see `specific`.
        specific: these; None: all.
    """

    latest: int | None = 2
    specific: frozenset[int] | None = None

    def wanted(self, numbers: Collection[int], refused: Collection[int]) -> set[int]:
        """Chooses from what is there; a refused version does not count as one of the latest."""
        if self.latest is not None:
            fit = sorted(set(numbers) - set(refused))
            return set(fit[-self.latest :])
        return set(numbers) if self.specific is None else set(numbers) & self.specific


@dataclass(frozen=True, slots=True)
class Share:
    """A version by its label, and its share of the traffic, 0 to 1."""

    label: str
    share: float


@dataclass(frozen=True, slots=True)
class Gates:
    """What a version must pass.

    Attributes:
        accuracy: the share of the gate set that it must read right, 0 to 1.
        margin: by how much it may be worse than what is stable now, and take its place.
        image_us: microseconds that the compiled network may take for one image, the median.
        set: an `.npz` of labelled digits; None: the 500 drawn ones that ship with the server.
    """

    accuracy: float = 0.9
    margin: float = 0.005
    image_us: float = 500.0
    set: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What `models.toml` says."""

    policy: Policy = field(default_factory=Policy)
    labels: Mapping[str, int] = field(default_factory=dict)
    canary: Share | None = None
    shadow: Share | None = None
    gates: Gates = field(default_factory=Gates)


def read_settings(path: Path, *, required: bool = False) -> Settings:
    """Reads the file; one that is not there says nothing, unless it is required.

    Raises:
        BundleError: naming the file, the key, what was expected and what came.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if required:
            raise BundleError(path, "is not there") from error
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(path, f"cannot be read: {error}") from error
    try:
        return _settings(_Table("", told), path.parent)
    except ValueError as error:
        raise BundleError(path, str(error)) from error


def _settings(root: "_Table", folder: Path) -> Settings:
    labels = root.table("labels")
    settings = Settings(
        policy=_policy(root.table("policy")),
        labels={name: labels.take(name, "a version", _is_version) for name in list(labels.left)},
        canary=_share(root.table("canary")),
        shadow=_share(root.table("shadow")),
        gates=_gates(root.table("gates"), folder),
    )
    for name in settings.labels:
        if not is_label(name):
            raise ValueError(
                f"labels: expected lower-case letters, digits and dashes, got {name!r}"
            )
    for kind, share in (("canary", settings.canary), ("shadow", settings.shadow)):
        if share is not None and share.label == STABLE:
            raise ValueError(f"{kind}.label: expected another label than {STABLE!r}")
    root.finish()
    return settings


def _policy(table: "_Table") -> Policy:
    if len(table.left) > 1:
        raise ValueError("policy: expected one of latest, all and specific, got several")
    if table.has("all"):
        table.take("all", "true", lambda value: value is True)
        return Policy(latest=None)
    if table.has("specific"):
        specific = table.take("specific", "a list of versions", _are_versions)
        return Policy(latest=None, specific=frozenset(specific))
    return Policy(latest=table.take("latest", "how many, from 1", _is_version, Policy().latest))


def _share(table: "_Table") -> Share | None:
    if not table.left:
        return None
    label = table.take("label", "a label", lambda value: isinstance(value, str) and is_label(value))
    return Share(label, float(table.take("share", "a number from 0 to 1", _is_share, 1.0)))


def _gates(table: "_Table", folder: Path) -> Gates:
    usual = Gates()
    chosen = table.take("set", "the name of an .npz", lambda value: isinstance(value, str), "")
    return Gates(
        accuracy=table.take("accuracy", "a number from 0 to 1", _is_share, usual.accuracy),
        margin=table.take("margin", "a number from 0 to 1", _is_share, usual.margin),
        image_us=table.take("image_us", "microseconds", _is_positive, usual.image_us),
        set=folder / chosen if chosen else None,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LAST_VERSION


def _are_versions(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_version, value))


_MISSING = object()


class _Table:
    """A table of the file, of which every key must be known."""

    def __init__(self, name: str, told: Any) -> None:
        if not isinstance(told, dict):
            raise ValueError(f"{name}: expected a table, got {told!r}")  # noqa: TRY004 - of a file
        self._name, self.left = name, dict(told)
        self._tables: list[_Table] = []

    def has(self, key: str) -> bool:
        return key in self.left

    def table(self, key: str) -> "_Table":
        self._tables.append(_Table(key, self.left.pop(key, {})))
        return self._tables[-1]

    def take(
        self, key: str, expected: str, fits: Callable[[Any], bool], usual: object = _MISSING
    ) -> Any:
        value = self.left.pop(key, usual)
        if value is _MISSING:
            raise ValueError(f"{self._name}.{key}: expected {expected}, got nothing")
        if not fits(value):
            raise ValueError(f"{self._name}.{key}: expected {expected}, got {value!r}")
        return value

    def finish(self) -> None:
        """Refuses what nobody has taken."""
        for table in (self, *self._tables):
            for key in table.left:
                raise ValueError(f"{table._name}.{key}".lstrip(".") + ": no such key")
