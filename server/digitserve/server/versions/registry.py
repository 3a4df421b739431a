"""Which versions there are, which labels they bear, and which of them answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitserve.server.config import Config
from digitserve.server.engines import Engine, EngineError, open_engine
from digitserve.server.errors import NoModelReady, UnknownModel
from digitserve.server.turns import Turns
from digitserve.server.versions.bundle import Bundle, BundleError, read_bundle
from digitserve.server.versions.keras_file import compiled_bundle
from digitserve.server.versions.timing import measured
from digitserve.v1 import manifest_pb2

STABLE = "stable"
BUNDLED = Path(__file__).parent.parent / "bundled"

# How far an engine on another machine may differ from what Keras said when the bundle was made.
_GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Version:
    """A version that answers.

    Attributes:
        number: its number, from 1.
        turns: its engine, and whose turn it is there.
        manifest: what its bundle says of it.
    """

    number: int
    turns: Turns
    manifest: manifest_pb2.ModelManifest


class Registry:
    """The versions of one server.  Empty until `publish`: nothing is ready yet."""

    def __init__(self) -> None:
        self._versions: dict[int, Version] = {}
        self._labels: dict[str, int] = {}

    def publish(self, versions: Iterable[Version]) -> None:
        """Lets these versions answer, all at once; the newest becomes `stable`."""
        self._versions = {version.number: version for version in versions}
        self._labels = {STABLE: max(self._versions)}

    def resolve(self, number: int | None, label: str | None) -> Version:
        """Finds the version that is to answer; with neither name, `stable`.

        Raises:
            NoModelReady: if nothing was published yet.
            UnknownModel: if there is no such version or label.
        """
        if not self._versions:
            raise NoModelReady
        if number is None:
            found = self._labels.get(STABLE if label is None else label)
            if found is None:
                raise UnknownModel("label", str(label), sorted(self._labels))
            number = found
        try:
            return self._versions[number]
        except KeyError:
            raise UnknownModel("version", str(number), sorted(self._versions)) from None

    def listed(self) -> list[tuple[Version, list[str]]]:
        """Every version with its labels, in rising order of their numbers."""
        return [
            (version, sorted(label for label, of in self._labels.items() if of == number))
            for number, version in sorted(self._versions.items())
        ]

    def close(self) -> None:
        """Lets go of every version."""
        for version in self._versions.values():
            version.turns.close()


def open_versions(config: Config) -> list[Version]:
    """Reads, checks and warms all that `config.models` names.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    root = config.models or BUNDLED
    if root.is_file():
        bundle = read_bundle(compiled_bundle(root, config.input_range))
        return [_open(1, bundle, config)]
    if (root / "manifest.json").exists():
        number = int(root.name) if _is_number(root.name) else 1
        return [_open(number, read_bundle(root), config)]
    folders = [each for each in root.iterdir() if _is_number(each.name)] if root.is_dir() else []
    folders.sort(key=lambda folder: int(folder.name))
    versions = [_open(int(folder.name), read_bundle(folder), config) for folder in folders]
    if not versions:
        raise BundleError(root, "expected a .keras file, a bundle, or a folder of bundles 1, 2, …")
    return versions


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) > 0


def _open(number: int, bundle: Bundle, config: Config) -> Version:
    roles = manifest_pb2.ModelFile
    compiled, keras = bundle.file(roles.ROLE_COMPILED), bundle.file(roles.ROLE_KERAS)

    def engine(largest: int) -> Engine:
        return open_engine(config.engine, compiled, keras, largest)

    try:
        first = engine(config.turn_images)
        _check_golden_answers(bundle, first)
        image_us, images = measured(first, config.turn_images, config.turn_ms)
        inline = image_us < config.inline_us
        engines = [first] if inline else [engine(images) for _ in range(config.engine_threads)]
    except EngineError as error:
        raise BundleError(bundle.folder, str(error)) from error
    return Version(number, Turns(engines, inline=inline, images=images), bundle.manifest)


def _check_golden_answers(bundle: Bundle, engine: Engine) -> None:
    """Compares the engine with what Keras said of the bundle's golden digits."""
    for at, golden in enumerate(bundle.manifest.golden_answers):
        image = np.frombuffer(golden.pixels, np.uint8).reshape(1, 28, 28)
        (got,), rejection = engine.predict(image)
        apart = float(np.abs(got - np.array(golden.probabilities, np.float32)).max())
        if rejection is not None:
            apart = max(apart, abs(float(rejection[0]) - golden.rejection))
        if not apart <= _GOLDEN_TOLERANCE:  # NaN is not
            raise BundleError(
                bundle.folder,
                f"golden answer {at} (a {golden.label}): {engine.name} does not say what Keras "
                f"said; they differ by {apart:.2g}",
            )
