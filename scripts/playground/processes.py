"""The server and the playground as processes, at addresses where they can be started again."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO

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
    log: IO[str]

    def complaints(self) -> list[str]:
        """What it has said on stderr."""
        self.log.seek(0)
        return self.log.read().splitlines()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.host}/"


@contextmanager
def playground_at(host: str, server: str) -> Iterator[Playground]:
    """The command, as a user starts it."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "playground", "--listen", host, "--address", server],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("playground on "), said
            yield Playground(process, host, log)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
