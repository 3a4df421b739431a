"""Servers that watch a folder of bundles."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from digitserve.server.versions.loading import BUNDLED
from digitserve.v1 import digits_pb2
from support.serving import TEST_CONFIG, Serving, serving
from support.talk import BLANK

# The test looks when it wants to; the server does not by itself.
CONFIG = replace(TEST_CONFIG, watch_s=0.0, model_control=True)


def place(folder: Path, *numbers: int) -> None:
    """Puts copies of a bundled model there, whole at once as `publish` does."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        shutil.copytree(BUNDLED / "1", folder / f".{number}")
        (folder / f".{number}").rename(folder / str(number))


@contextmanager
def watching(folder: Path, settings: str = "") -> Iterator[Serving]:
    """A server for this folder."""
    (folder / "models.toml").write_text(settings, encoding="utf-8")
    with serving(replace(CONFIG, models=folder)) as up:
        yield up


def answering(up: Serving, **model: object) -> int:
    """Which version answers."""
    with up.digits() as stub:
        return int(stub.Predict(digits_pb2.PredictRequest(pixels=BLANK, **model)).model_version)  # type: ignore[arg-type]
