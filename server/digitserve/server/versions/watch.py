"""The folder of bundles, watched: what it and `models.toml` say is what the registry holds.

    folder, models.toml ─▶ look ─▶ wanted ─┬─▶ load, in a thread ─▶ gates ─▶ add or refuse
                                           └─▶ forget, once something else is stable

What is new is loaded before what is old is let go, and the last version that answers is never let
go.  One look at a time, and one load at a time: callers who load by hand wait their turn.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from digitserve.server.config import Config
from digitserve.server.errors import UnknownModel
from digitserve.server.versions.bundle import BundleError, BundleUnread
from digitserve.server.versions.loading import found, load, settings_of
from digitserve.server.versions.registry import Registry
from digitserve.server.versions.settings import STABLE, Gates
from digitserve.server.versions.version import State, Version

_log = logging.getLogger(__name__)

# Left to those who are served, between the steps of a load (docs/decisions/0009).
_PAUSE_S = 0.002

# What tells whether a bundle changed: each file's name, length and time.
_Signature = tuple[tuple[str, int, int], ...]

# Loads a version that passes these gates, and leaves so many seconds to others between its steps.
Load: TypeAlias = Callable[[int, Path, Gates, float], Awaitable[Version]]


class Watch:
    """Keeps a registry as a folder says."""

    def __init__(self, config: Config, registry: Registry, load: Load | None = None) -> None:
        """Keeps `registry` as `config` says.

        Args:
            config: how the server runs.
            registry: what it keeps.
            load: what loads a version; None: a thread of this process.
        """
        self._config = config
        self._load_version = load or loading_here(config)
        self._registry = registry
        self._wrong = ""  # what was wrong with models.toml, when it was read last
        self._seen: dict[int, _Signature] = {}  # each bundle as it was when it was tried
        self._unread: set[int] = set()  # what the system did not let us read when it was tried
        self._asked: set[int] = set()  # loaded by a caller, whatever the policy says
        self._unasked: set[int] = set()  # unloaded by one
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Loads all that is wanted, and lets it answer at once.

        Raises:
            BundleError: if nothing that was found can answer, or what is pinned cannot.
        """
        loaded: dict[int, Version | BundleError] = {}
        async with self._lock:
            self._registry.configure(await asyncio.to_thread(settings_of, self._config))
            there = await asyncio.to_thread(found, self._config)
            failed: set[int] = set()
            while todo := self._todo(there, failed):
                for number in todo:
                    loaded[number] = await self._try(number, there[number])
                    if isinstance(loaded[number], BundleError):
                        failed.add(number)
            self._check_start(loaded)
            for number in sorted(loaded):
                self._take(number, loaded[number])

    def _check_start(self, loaded: Mapping[int, Version | BundleError]) -> None:
        """Checks that there is something to answer, and what is pinned."""
        pinned = self._registry.settings.labels.get(STABLE)
        wrong = {number: it for number, it in loaded.items() if isinstance(it, BundleError)}
        if pinned is not None and (pinned in wrong or pinned not in loaded):
            why = f"{STABLE} is to be version {pinned}, which is not there"
            raise wrong.get(pinned) or BundleError(self._root, why)
        if len(wrong) == len(loaded):
            raise next(iter(wrong.values()), BundleError(self._root, "no version is wanted"))

    async def run(self) -> None:
        """Looks again and again, for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(self._config.watch_s)
            try:
                await self.look()
            except Exception:  # the disk may be away for a while; what answers goes on
                _log.exception("cannot look at %s", self._root)

    async def look(self) -> None:
        """Looks once: loads what is new and wanted, lets go of what is not wanted any more."""
        async with self._lock:
            there = await self._found()
            if not there:
                return  # all is gone, and what it said: what answers goes on
            await self._read_settings()
            failed: set[int] = set()  # tried once a look: a bundle may be growing
            while todo := self._todo(there, failed):
                for number in todo:
                    await self._load(number, there[number])
                    if self._registry.known[number].state is State.REFUSED:
                        failed.add(number)
            self._forget_unwanted(there)

    async def load(self, number: int) -> None:
        """Loads a version whatever the policy says, unless it is ready.

        Raises:
            UnknownModel: if it is not in the folder.
        """
        async with self._lock:
            there = await self._found()
            if number not in there:
                raise UnknownModel("version", str(number), sorted(there))
            self._asked.add(number)
            self._unasked.discard(number)
            entry = self._registry.known.get(number)
            if entry is None or entry.state is not State.READY:
                await self._load(number, there[number])

    async def unload(self, number: int) -> None:
        """Lets go of a version that bears no label.

        Raises:
            UnknownModel, VersionInUse: if it is not there, or bears one.
        """
        async with self._lock:
            self._registry.check_free(number)
            self._asked.discard(number)
            self._unasked.add(number)
            self._registry.forget(number)

    # -------------------------------------------------------------------------------------------

    @property
    def _root(self) -> Path:
        return self._config.models or Path("the bundled models")

    async def _read_settings(self) -> None:
        try:
            settings = await asyncio.to_thread(settings_of, self._config)
        except BundleError as error:
            if str(error) != self._wrong:
                _log.error("%s; what was said before holds", error)
            self._wrong = str(error)
            return
        self._wrong = ""
        if settings != self._registry.settings:
            for number, entry in self._registry.known.items():
                if not entry.broken:  # other gates, another chance
                    self._seen.pop(number, None)
            self._asked.clear()
            self._unasked.clear()
            self._registry.configure(settings)

    async def _found(self) -> dict[int, Path]:
        """What is there now."""
        try:
            return await asyncio.to_thread(found, self._config)
        except BundleError:
            return {}

    def _refused(self, there: Mapping[int, Path]) -> set[int]:
        """The versions that were refused and have not changed since."""
        return {
            number
            for number, entry in self._registry.known.items()
            if entry.state is State.REFUSED
            and number in there
            and _signature(there[number]) == self._seen.get(number)
        }

    def _wanted(self, there: Mapping[int, Path], refused: set[int]) -> set[int]:
        settings = self._registry.settings
        by_policy = settings.policy.wanted(there, refused)
        named = self._registry.labelled | set(settings.labels.values()) | self._asked
        return (by_policy | named) & set(there) - self._unasked

    def _todo(self, there: Mapping[int, Path], failed: set[int]) -> list[int]:
        """What is wanted, and has not failed as it is now; the oldest first.

        What could not be read is tried at each look: its files need not change for that.
        """
        refused = self._refused(there) - self._unread | failed
        return sorted(
            number
            for number in self._wanted(there, refused) - refused
            if number not in self._registry.known
            or self._registry.known[number].state is State.REFUSED
        )

    async def _load(self, number: int, path: Path) -> None:
        self._take(number, await self._try(number, path, _PAUSE_S))

    async def _try(self, number: int, path: Path, pause_s: float = 0.0) -> Version | BundleError:
        """Loads a version, in a thread."""
        self._seen[number] = _signature(path)
        if number not in self._unread:  # or else it stays refused until it is read
            self._registry.loading(number)
        self._unread.discard(number)
        gates = self._registry.settings.gates
        try:
            return await self._load_version(number, path, gates, pause_s)
        except BundleError as error:
            if isinstance(error, BundleUnread):
                self._unread.add(number)
            return error
        except asyncio.CancelledError:  # whoever asked for it has gone: as if nobody had asked
            self._registry.forget(number)
            raise
        except Exception:  # whatever it was, it ends this version and not the watch
            _log.exception("version %d", number)
            return BundleError(path, "could not be loaded, for a reason that nobody foresaw")

    def _take(self, number: int, loaded: Version | BundleError) -> None:
        """Lets a version answer, or keeps it out."""
        if isinstance(loaded, Version):
            self._registry.add(loaded)
        elif not self._told(number, loaded.told):
            self._registry.refuse(number, loaded.told)

    def _told(self, number: int, why: str) -> bool:
        """Whether a version is refused for this already, and the log has it."""
        entry = self._registry.known.get(number)
        return entry is not None and entry.state is State.REFUSED and entry.reason == why

    def _forget_unwanted(self, there: Mapping[int, Path]) -> None:
        refused = self._refused(there)
        kept = self._wanted(there, refused) | refused
        for number in set(self._registry.known) - kept:
            ready = [n for n, entry in self._registry.known.items() if entry.state is State.READY]
            if ready != [number]:
                self._registry.forget(number)


def loading_here(config: Config) -> Load:
    """Loads in a thread of this process, beside those who are served."""

    async def load_here(number: int, path: Path, gates: Gates, pause_s: float) -> Version:
        with _yielding():
            return await asyncio.to_thread(load, number, path, config, gates, pause_s)

    return load_here


@contextmanager
def _yielding() -> Iterator[None]:
    """While the block runs, a thread that wants the interpreter waits for it ten times less.

    The loading thread runs Python as well; by default it may keep the event loop waiting for 5 ms,
    and a call needs the loop several times.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _signature(path: Path) -> _Signature:
    """What can be told of a bundle without reading it; nothing if the disk does not say."""
    try:
        files = [path] if path.is_file() else sorted(path.iterdir())
        stats = [(file.name, file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
