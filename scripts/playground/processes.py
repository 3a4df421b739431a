"""The server and the playground as processes, each at an address that it can be started at again."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from support.command import Command, server_command

_COMMAND = "from digitserve.client.cli import main; main()"


def free_address() -> str:
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


def serve_at(address: str) -> AbstractContextManager[Command]:
    """The server with the bundled models, whose versions may be changed by hand."""
    return server_command("--address", address, "--model-control", log=subprocess.DEVNULL)


@dataclass(frozen=True)
class Playground:
    """A running `digitserve playground`."""

    process: subprocess.Popen[str]
    host: str

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.host}/"


@contextmanager
def playground_at(host: str, server: str) -> Iterator[Playground]:
    """The command, as a user starts it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "playground", "--listen", host, "--address", server],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("playground on "), said
        yield Playground(process, host)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
