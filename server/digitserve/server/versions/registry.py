"""Which versions there are, which labels they bear, and which of them answers.

    add ─▶ READY ─▶ stable, if it is newer than any that was considered, and not worse
                      │ its network breaks turn after turn
                      └──────▶ REFUSED, and what was stable before is so again

What `models.toml` pins is stable whenever it is ready.  What an operator decides, or a rollback,
holds until a version arrives that is newer than all that were there then.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

from digitserve.server.errors import (
    BadField,
    NoModelReady,
    NothingBefore,
    PromotionLost,
    UnknownModel,
    VersionInUse,
    VersionLoading,
    VersionRefused,
)
from digitserve.server.texts import abridged
from digitserve.server.versions import gates
from digitserve.server.versions.settings import STABLE, Settings, is_label
from digitserve.server.versions.shadow import Shadow
from digitserve.server.versions.version import Entry, State, Version

_log = logging.getLogger(__name__)

# A network that breaks so many turns in a row is broken; one image that breaks it is not enough.
BROKEN = 3


class Registry:
    """The versions of one server.  Empty until `add`: nothing is ready yet.

    Attributes:
        settings: what `models.toml` says.
        shadow: who is asked as well.
        refusals: how many versions were refused so far.
        rollbacks: how often a broken version lost its place.
        swaps: how often another version became stable than was so before.
        on_stable: told whether any version is stable, at each change.
    """

    def __init__(self) -> None:
        self.settings = Settings()
        self.shadow = Shadow()
        self.refusals = self.rollbacks = self.swaps = 0
        self.on_stable: Callable[[bool], None] = lambda _: None
        self._entries: dict[int, Entry] = {}
        self._labels: dict[str, int] = {}
        self._pinned: int | None = None
        self._stable: Version | None = None
        self._past: list[int] = []  # what was stable before, the last at the end
        self._considered = 0  # nothing up to this number becomes stable by itself

    # --- who answers ---------------------------------------------------------------------------

    def resolve(self, number: int | None, label: str | None) -> Version:
        """Finds the version that is to answer; with neither name, `stable`.

        Raises:
            NoModelReady: if nothing is stable yet.
            UnknownModel: if there is no such version or label.
            VersionLoading: if it is not ready yet.
            VersionRefused: if its gates refused it.
        """
        if self._stable is None:
            raise NoModelReady
        if number is None:
            if label is None or label == STABLE:
                return self._stable
            if (number := self._labels.get(label)) is None:
                raise UnknownModel("label", abridged(label), sorted({STABLE, *self._labels}))
        return self._ready(number)

    def bearing(self, label: str) -> Version | None:
        """Who bears a label and is ready; None: nobody."""
        entry = self._entries.get(self._labels.get(label, 0))
        return None if entry is None else entry.version

    def listed(self) -> list[tuple[Entry, list[str]]]:
        """Every version with its labels, in rising order of their numbers."""
        labels = dict(self._labels)
        if self._stable is not None:
            labels[STABLE] = self._stable.number
        return [
            (entry, sorted(label for label, of in labels.items() if of == number))
            for number, entry in sorted(self._entries.items())
        ]

    @property
    def stable(self) -> int | None:
        """The number of the version that is stable."""
        return None if self._stable is None else self._stable.number

    @property
    def known(self) -> dict[int, Entry]:
        """The versions by number."""
        return self._entries

    @property
    def labelled(self) -> set[int]:
        """The versions that bear a label, `stable` among them."""
        stable = set() if self._stable is None else {self._stable.number}
        return stable.union(self._labels.values())

    # --- what comes and goes -------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Takes what `models.toml` says, in place of what was said before."""
        self.settings = settings
        self._labels = {name: of for name, of in settings.labels.items() if name != STABLE}
        self._pinned = settings.labels.get(STABLE)
        if self._pinned is None:
            for version in self._newest_first():
                if not self._consider(version):
                    break
        elif (pinned := self._entries.get(self._pinned)) and pinned.version is not None:
            self._make_stable(pinned.version)
        self._connect_shadow()

    def publish(self, versions: Iterable[Version]) -> None:
        """Lets these versions answer, all at once."""
        for version in versions:
            self.add(version)

    def loading(self, number: int) -> None:
        """A version is about to be loaded."""
        self._entries[number] = Entry(number, State.LOADING)

    def add(self, version: Version) -> None:
        """Lets a version answer; it becomes stable if it is to."""
        number = version.number
        _log.info("version %d is ready%s", number, version.findings)
        version.on_failure = self._failed
        self._entries[number] = Entry(number, State.READY, version)
        if self._pinned is not None:
            if number == self._pinned:
                self._make_stable(version)
        elif number > self._considered:
            why = self._consider(version)
            if why and number not in self._labels.values():
                self.refuse(number, why)
        self._connect_shadow()

    def refuse(self, number: int, reason: str, *, broken: bool = False) -> None:
        """Keeps a version out; a `broken` one whatever the gates will be."""
        _log.warning("version %d refused: %s", number, reason)
        self.refusals += 1
        self._drop(number)
        self._entries[number] = Entry(number, State.REFUSED, reason=reason, broken=broken)
        self._connect_shadow()

    def forget(self, number: int) -> None:
        """Lets go of a version; what it began it ends."""
        self._drop(number)
        self._past = [past for past in self._past if past != number]
        gone = self._stable is not None and self._stable.number == number
        if gone and self._step_back() is None:
            self._make_stable(next(self._newest_first(), None))
        self._connect_shadow()

    def close(self) -> None:
        """Lets go of every version."""
        for number in list(self._entries):
            self._drop(number)

    # --- what an operator decides --------------------------------------------------------------

    def promote(self, number: int, expected_stable: int | None) -> None:
        """Makes a version stable.

        Raises:
            PromotionLost: if another version is stable than was expected.
            UnknownModel, VersionLoading: if it is not there, or not yet.
            VersionRefused: if its gates refused it, or it is worse than what is stable.
        """
        self._expect(expected_stable)
        version = self._ready(number)
        if why := self._why_not(version):
            raise VersionRefused(number, why)
        self._pinned = None
        self._decide(version)

    def roll_back(self, expected_stable: int | None) -> Version:
        """Makes that version stable which was so before.

        Raises:
            PromotionLost: if another version is stable than was expected.
            NothingBefore: if there is none.
        """
        self._expect(expected_stable)
        version = self._step_back()
        if version is None:
            raise NothingBefore
        self._pinned = None
        return version

    def set_label(self, label: str, number: int | None) -> None:
        """Gives a label to a version, or takes it away.

        Raises:
            BadField: if it is no label, or `stable`.
            UnknownModel, VersionLoading, VersionRefused: if the version is not ready.
        """
        if label == STABLE or not is_label(label):
            expected = "expected lower-case letters, digits and dashes, and not `stable`"
            raise BadField("label", "LABEL_INVALID", f"{expected}, got {abridged(label)!r}")
        if number is None:
            self._labels.pop(label, None)
        else:
            self._labels[label] = self._ready(number).number
        self._connect_shadow()

    def check_free(self, number: int) -> None:
        """Checks that a version bears no label.

        Raises:
            UnknownModel: if it is not there.
            VersionInUse: if it bears one.
        """
        for entry, labels in self.listed():
            if entry.number == number:
                if labels:
                    raise VersionInUse(number, labels)
                return
        raise UnknownModel("version", str(number), sorted(self._entries))

    # -------------------------------------------------------------------------------------------

    def _ready(self, number: int) -> Version:
        entry = self._entries.get(number)
        if entry is None:
            raise UnknownModel("version", str(number), sorted(self._entries))
        if entry.version is None:
            if entry.state is State.LOADING:
                raise VersionLoading(number)
            raise VersionRefused(number, entry.reason)
        return entry.version

    def _why_not(self, version: Version) -> str:
        """Why a version may not become stable; nothing if it may."""
        if self._stable is None or version is self._stable:
            return ""
        return gates.worse(version.findings, self._stable.findings, self.settings.gates)

    def _consider(self, version: Version) -> str:
        """Makes a version stable, if it may be; else says why not."""
        why = self._why_not(version)
        if not why:
            self._considered = version.number
            self._make_stable(version)
        return why

    def _expect(self, stable: int | None) -> None:
        if stable is not None and stable != self.stable:
            raise PromotionLost(stable, self.stable)

    def _decide(self, version: Version) -> None:
        self._considered = max(self._considered, *self._entries)
        self._make_stable(version)

    def _make_stable(self, version: Version | None) -> None:
        before = self._stable
        if version is before:
            return
        if before is not None:
            before.listener = None
            if before.number in self._entries:
                self._past.append(before.number)
        if version is not None:
            self._past = [number for number in self._past if number != version.number]
        self.swaps += before is not None and version is not None
        self._stable = version
        self.on_stable(version is not None)
        _log.info("stable is %s", "nothing" if version is None else f"version {version.number}")
        self._connect_shadow()

    def _step_back(self) -> Version | None:
        """Makes that stable which was so last and is still ready, if there is any."""
        past = self._past
        while past:
            *past, number = past
            entry = self._entries.get(number)
            if entry is not None and entry.version is not None:
                self._decide(entry.version)
                self._past = past  # the next step goes further back, not forward again
                return entry.version
        return None

    def _newest_first(self) -> Iterator[Version]:
        for _, entry in sorted(self._entries.items(), reverse=True):
            if entry.version is not None:
                yield entry.version

    def _failed(self, version: Version, error: Exception) -> None:
        """A network broke a turn: one that does so again and again loses its place."""
        if version.failures >= BROKEN and version is self._stable:
            self.lost(version, f"{version.failures} turns broken in a row ({type(error).__name__})")

    def lost(self, version: Version, why: str) -> None:
        """What is stable broke: what was so before takes its place, if anything can."""
        if self._step_back() is None:
            other = next((each for each in self._newest_first() if each is not version), None)
            if other is None:
                return  # nobody could do better
            self._decide(other)
        self.rollbacks += 1
        self.refuse(version.number, f"rolled back: {why}")

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        if entry is not None and entry.version is not None:
            entry.version.turns.close()

    def _connect_shadow(self) -> None:
        wanted = self.settings.shadow
        version = None if wanted is None else self.bearing(wanted.label)
        if self._stable is None or version is self._stable:
            version = None
        self.shadow.version = version
        self.shadow.share = wanted.share if wanted else 0.0
        if self._stable is not None:
            self._stable.listener = None if version is None else self.shadow.listen
