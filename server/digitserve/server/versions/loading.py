"""From a bundle on disk to a version that could answer: read, checked, timed and warmed.

Runs in a thread, beside the serving: nothing here knows the event loop or the registry.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from digitserve.server.codec import Images
from digitserve.server.config import Config
from digitserve.server.engines import Answer, Engine, EngineError, open_engine
from digitserve.server.turns import Turns
from digitserve.server.versions import gates
from digitserve.server.versions.bundle import MANIFEST, Bundle, BundleError, read_bundle
from digitserve.server.versions.keras_file import compiled_bundle
from digitserve.server.versions.settings import (
    LAST_VERSION,
    SETTINGS,
    Gates,
    Settings,
    read_settings,
)
from digitserve.server.versions.timing import Timing, measured
from digitserve.server.versions.version import Findings, Version
from digitserve.v1 import manifest_pb2

BUNDLED = Path(__file__).parent.parent / "bundled"

# A busy machine may make a light network look slow once, and hardly three times.
_TRIES = 3


def open_versions(config: Config) -> list[Version]:
    """Loads all that `config.models` names, by number.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    settings = settings_of(config)
    return [
        load(number, path, config, settings.gates) for number, path in sorted(found(config).items())
    ]


def settings_of(config: Config) -> Settings:
    """Reads `models.toml`: the one that `config` names, or the one in its folder.

    Raises:
        BundleError: if it says what it may not.
    """
    if config.settings is not None:
        return read_settings(config.settings, required=True)
    root = config.models or BUNDLED
    return read_settings(root / SETTINGS) if root.is_dir() else Settings()


def found(config: Config) -> dict[int, Path]:
    """What there is to load: each version's number and its bundle, or its `.keras` file.

    Raises:
        BundleError: if there is nothing.
    """
    root = config.models or BUNDLED
    if root.is_file():
        return {1: root}
    if (root / MANIFEST).exists():
        return {int(root.name) if _is_number(root.name) else 1: root}
    versions = dict(_numbered(root))
    if not versions:
        raise BundleError(root, "expected a .keras file, a bundle, or a folder of bundles 1, 2, …")
    return versions


def _numbered(root: Path) -> Iterator[tuple[int, Path]]:
    for folder in root.iterdir() if root.is_dir() else ():
        if _is_number(folder.name):
            yield int(folder.name), folder


def _is_number(name: str) -> bool:
    """Whether a folder is called as a version is: no other name may mean the same number."""
    return name.isascii() and name.isdigit() and name[0] != "0" and int(name) <= LAST_VERSION


def load(number: int, path: Path, config: Config, required: Gates, pause_s: float = 0.0) -> Version:
    """Makes a version that passed its gates.

    Args:
        number: of the version.
        path: of its bundle, or of a `.keras` file.
        config: how the server runs.
        required: what it must pass.
        pause_s: seconds that are left to others between its steps.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    bundle = read_bundle(compiled_bundle(path, config.input_range) if path.is_file() else path)
    roles = manifest_pb2.ModelFile
    compiled, keras = bundle.file(roles.ROLE_COMPILED), bundle.file(roles.ROLE_KERAS)

    def engine(largest: int) -> Engine:
        return open_engine(config.engine, compiled, keras, largest, pause_s)

    try:
        first = engine(config.turn_images)
        asked = _Considerate(first, pause_s) if pause_s else first
        gates.check_golden_answers(bundle, asked)
        timing = _timed(bundle, first, config, required, pause_s)
        accuracy = gates.check_accuracy(bundle, asked, required)
        inline = timing.image_us < config.inline_us
        engines = (
            [first] if inline else [engine(timing.images) for _ in range(config.engine_threads)]
        )
    except EngineError as error:
        raise BundleError(bundle.folder, str(error)) from error
    each_s = timing.image_us / 1e6
    turns = Turns(engines, inline=inline, images=timing.images, image_s=each_s)
    findings = Findings(accuracy, timing.image_us, gates.name_of_set(required))
    return Version(number, turns, bundle.manifest, findings)


class _Considerate:
    """An engine that first lets others have their turn, who would else wait for all its calls."""

    def __init__(self, engine: Engine, pause_s: float) -> None:
        self.name = engine.name
        self._engine, self._pause_s = engine, pause_s

    def predict(self, images: Images) -> Answer:
        time.sleep(self._pause_s)
        return self._engine.predict(images)


def _timed(
    bundle: Bundle, engine: Engine, config: Config, required: Gates, pause_s: float
) -> Timing:
    timing = measured(engine, config.turn_images, config.turn_ms, pause_s)
    if config.engine != "litert":  # what cannot be compiled takes what it takes
        return timing
    for _ in range(_TRIES - 1):
        if timing.image_us <= required.image_us:
            break
        timing = min(timing, measured(engine, config.turn_images, config.turn_ms, pause_s))
    gates.check_time(bundle, timing.image_us, required)
    return timing
