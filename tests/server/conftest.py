"""The contract is tested against every engine: `serving` here comes once for each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from digitserve.server.engines import ENGINES
from support.models import place
from support.serving import TEST_CONFIG, Serving, serving


@pytest.fixture(scope="session", name="serving", params=ENGINES)
def _serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A real server with the bundled model, shared by all tests: leave it as it was."""
    if request.param == "tensorflow":
        pytest.importorskip("tensorflow", reason="the engine `tensorflow` needs the extra trainer")
    with serving(replace(TEST_CONFIG, engine=request.param)) as up:
        yield up


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder with two versions."""
    place(tmp_path / "models", 1, 2)
    return tmp_path / "models"
