"""The model bundle: the folder in which a network leaves the trainer.

    <target>/epic_num_reader.keras     what training saved: the source of truth
             model.tflite              the same network compiled
             manifest.json             what the two are, and how good

Trainer and server meet here and nowhere else.  A bundle is written under a name that no
server opens, flushed to the disk, and renamed: it is there whole, or not at all.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from digitserve.trainer.errors import ModelError, TrainerError, first_sentence
from digitserve.v1 import manifest_pb2

KERAS: Final = "epic_num_reader.keras"
COMPILED: Final = "model.tflite"
MANIFEST: Final = "manifest.json"

_FORMAT = 1
_ROLES = {
    KERAS: manifest_pb2.ModelFile.ROLE_KERAS,
    COMPILED: manifest_pb2.ModelFile.ROLE_COMPILED,
}


def check_free(target: Path) -> None:
    """Refuse a target that exists: a bundle is never changed."""
    if target.exists() or target.is_symlink():
        raise TrainerError(f"{target}: expected a new folder, came one that exists")


def next_free(folder: Path) -> int:
    """The number after the greatest in `folder`; 1 if there is none."""
    taken = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    return max(taken, default=0) + 1


@contextmanager
def new_bundle(target: Path) -> Iterator[Path]:
    """Yield a folder to write into; it becomes `target` if nothing fails, else it is gone."""
    check_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    folder.mkdir()  # not a private folder of `tempfile`: the server runs as somebody else
    try:
        yield folder
        flush(folder)
        check_free(target)
        folder.rename(target)
        flush_one(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_manifest(
    folder: Path,
    *,
    description: str,
    golden_answers: Sequence[manifest_pb2.GoldenAnswer],
    training: manifest_pb2.Training | None = None,
    evaluation: manifest_pb2.Evaluation | None = None,
    calibration: manifest_pb2.Calibration | None = None,
) -> manifest_pb2.ModelManifest:
    """Describe the two networks that lie in `folder`, as the last of its files."""
    columns = 11 if any(golden.HasField("rejection") for golden in golden_answers) else 10
    manifest = manifest_pb2.ModelManifest(
        format=_FORMAT,
        description=description,
        files=[_described(folder / name) for name in (KERAS, COMPILED)],
        input=manifest_pb2.TensorSpec(shape=[-1, 28, 28], dtype="uint8"),
        output=manifest_pb2.TensorSpec(shape=[-1, columns], dtype="float32"),
        training=training,
        evaluation=evaluation,
        golden_answers=golden_answers,
        calibration=calibration,
    )
    (folder / MANIFEST).write_text(_as_json(manifest), encoding="utf-8")
    return manifest


def _as_json(manifest: manifest_pb2.ModelManifest) -> str:
    fields = json_format.MessageToDict(
        manifest,
        preserving_proto_field_name=True,
        # For people: a seed of 0 and the label 0 are said, not left to be known.
        always_print_fields_with_no_presence=True,
    )
    if "training" in fields:  # a map has no order of its own
        fields["training"]["packages"] = dict(sorted(fields["training"]["packages"].items()))
    return json.dumps(fields, indent=2) + "\n"


def _described(path: Path) -> manifest_pb2.ModelFile:
    content = path.read_bytes()
    return manifest_pb2.ModelFile(
        name=path.name,
        role=_ROLES[path.name],
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def read(folder: Path) -> manifest_pb2.ModelManifest:
    """Read a bundle's manifest, and believe it only if every file is what it says.

    Raises:
        ModelError: naming the file, what was expected and what came.
    """
    path = folder / MANIFEST
    try:
        manifest = json_format.Parse(path.read_text("utf-8"), manifest_pb2.ModelManifest())
    except (OSError, ValueError, json_format.ParseError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else first_sentence(wrong)
        raise ModelError(f"{path}: expected a bundle's manifest, came none: {why}") from wrong
    if manifest.format != _FORMAT:
        raise ModelError(f"{path}: expected format {_FORMAT}, came {manifest.format}")
    if missing := {KERAS, COMPILED} - {file.name for file in manifest.files}:
        raise ModelError(
            f"{path}: expected a bundle of {KERAS} and {COMPILED}, came no {min(missing)}"
        )
    for file in manifest.files:
        _check(folder, file)
    return manifest


def _check(folder: Path, file: manifest_pb2.ModelFile) -> None:
    path = folder / file.name
    if file.name not in _ROLES:
        raise ModelError(f"{folder / MANIFEST}: expected no file but the two, came {file.name!r}")
    if not path.is_file():
        raise ModelError(f"{path}: expected {file.size:,} bytes, came no file")
    came = _described(path)
    if came.size != file.size:
        raise ModelError(f"{path}: expected {file.size:,} bytes, came {came.size:,}")
    if came.sha256 != file.sha256:
        raise ModelError(f"{path}: expected SHA-256 {file.sha256[:12]}…, came {came.sha256[:12]}…")


def flush(folder: Path) -> None:
    """Have the disk hold a folder's files, and that they are in it."""
    for path in (*folder.iterdir(), folder):
        flush_one(path)


def flush_one(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's list."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
