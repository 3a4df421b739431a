"""What every test may use: a server that is up, and MNIST where there is any."""

import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.mnist import find_mnist
from support.serving import Serving, serving

# What a token of ours looks like, and a JWT.
_CREDENTIAL = re.compile(r"\b[0-9a-f]{8,}\.[\w-]{43}|\beyJ[\w-]+\.[\w-]+\.[\w-]+")

# No time is asserted anywhere: the machine may be busy with something else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class _Reader(logging.Handler):
    """Reads what every test logs."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Looks for a credential, with the exception's text if there is any."""
        line = self.format(record)
        # The log's own tests put credentials in, to see that none comes out.
        if record.name != "digitserve.test" and _CREDENTIAL.search(line):
            self.leaks.append(f"{record.name}: {line}")


@pytest.fixture(scope="session", autouse=True)
def _no_credential_is_logged() -> Iterator[None]:
    """In no line of the whole run."""
    reader = _Reader()
    logging.getLogger().addHandler(reader)
    yield
    logging.getLogger().removeHandler(reader)
    assert not reader.leaks


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
