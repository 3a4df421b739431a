"""A model bundle on disk: the files and the manifest that says what they must be.

The manifest is the only thing that is believed, and only after every file has its SHA-256.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from digitserve.v1 import manifest_pb2

MANIFEST = "manifest.json"
FORMAT = 1


class BundleError(Exception):
    """A bundle, or a folder of them, that cannot be served; says which file and why."""

    def __init__(self, path: Path, why: str, detail: str = "") -> None:
        """Takes what is wrong with a file, and what only the log may say of it."""
        super().__init__(f"{path}: {why}" + (f": {detail}" if detail else ""))
        self._path, self._why, self._detail = path, why, detail

    @property
    def parts(self) -> tuple[Path, str, str]:
        """What it was made of."""
        return self._path, self._why, self._detail

    @property
    def told(self) -> str:
        """What a caller may read of it: the file, without the folders of this machine."""
        return f"{self._path.name}: {self._why}" if self._path.suffix else self._why


class BundleUnread(BundleError):
    """A bundle that the system did not let us read, as it may at another time."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are what its manifest says."""

    folder: Path
    manifest: manifest_pb2.ModelManifest

    def file(self, role: "manifest_pb2.ModelFile.Role") -> Path:
        """The file with this role."""
        for each in self.manifest.files:
            if each.role == role:
                return self.folder / each.name
        name = manifest_pb2.ModelFile.Role.Name(role)
        raise BundleError(self.folder / MANIFEST, f"names no file with the role {name}")


def read_bundle(folder: Path) -> Bundle:
    """Reads the manifest and checks every file against it.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(path, "is not UTF-8") from error
    except OSError as error:
        raise unread(path, error) from error
    try:
        manifest = json_format.Parse(text, manifest_pb2.ModelManifest())
    except json_format.ParseError as error:
        raise BundleError(path, f"is no manifest: {error}") from error
    if manifest.format != FORMAT:
        raise BundleError(path, f"expected format {FORMAT}, got {manifest.format}")
    _check_form(path, "input", manifest.input, "uint8", [[-1, 28, 28]])
    _check_form(path, "output", manifest.output, "float32", [[-1, 10], [-1, 11]])
    for file in manifest.files:
        _check_file(folder, file)
    return Bundle(folder, manifest)


def _check_form(
    path: Path, what: str, spec: manifest_pb2.TensorSpec, dtype: str, shapes: list[list[int]]
) -> None:
    if spec.dtype != dtype or list(spec.shape) not in shapes:
        named = " or ".join(map(str, shapes))
        raise BundleError(
            path, f"expected {what} {dtype} {named}, got {spec.dtype} {list(spec.shape)}"
        )


def _check_file(folder: Path, file: manifest_pb2.ModelFile) -> None:
    path = folder / file.name
    if path.parent != folder:
        raise BundleError(folder / MANIFEST, f"names a file outside of the bundle: {file.name!r}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unread(path, error) from error
    if len(content) != file.size:
        raise BundleError(path, f"expected {file.size} bytes, got {len(content)}")
    if (actual := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise BundleError(path, f"expected SHA-256 {file.sha256}, got {actual}")


def unread(path: Path, error: OSError) -> BundleError:
    """Says why a file could not be read: one that is not there is wrong until it comes."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    return (BundleError if missing else BundleUnread)(path, error.strerror or str(error))
