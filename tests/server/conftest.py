"""The contract is tested against every engine: `serving` here comes once for each."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from digitserve.server.engines import ENGINES
from support.serving import TEST_CONFIG, Serving, serving


@pytest.fixture(scope="session", name="serving", params=ENGINES)
def _serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A real server with the bundled model, shared by all tests: leave it as it was."""
    if request.param == "tensorflow":
        pytest.importorskip("tensorflow", reason="the engine `tensorflow` needs the extra trainer")
    with serving(replace(TEST_CONFIG, engine=request.param)) as up:
        yield up
