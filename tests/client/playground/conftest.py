"""What tests of the playground share."""

from collections.abc import Iterator

import pytest

from support.playground import Playing, playing
from support.serving import Serving


@pytest.fixture(scope="session", name="playground")
def _playground(serving: Serving) -> Iterator[Playing]:
    """A playground of the shared server."""
    with playing(serving.address) as up:
        yield up
