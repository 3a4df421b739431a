"""What every test may use: a server that is up, and MNIST where there is any."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.mnist import find_mnist
from support.serving import Serving, serving

# No time is asserted anywhere: the machine may be busy with something else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", name="serving")
def _serving() -> Iterator[Serving]:
    """A real server with the bundled model, shared by all tests: leave it as it was."""
    with serving() as up:
        yield up


@pytest.fixture(scope="session")
def mnist() -> Path:
    """Where MNIST lies; without it the test is skipped, but not in CI."""
    found = find_mnist()
    if found is None:
        missing = "no MNIST: name its folder or .npz in DIGITSERVE_MNIST"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found
