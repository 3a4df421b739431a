"""The servers that a driver is tried on, as processes of their own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglot import ROOT
from proving import Shortfall


@dataclass(frozen=True)
class Installation:
    """A Python with a digitserve in it.

    Attributes:
        python: the interpreter.
        tests: the folder of the `support` package that fits it.
        path: further folders to import from; with an installed digitserve, none.
    """

    python: Path = Path(sys.executable)
    tests: Path = ROOT / "tests"
    path: tuple[Path, ...] = tuple(ROOT / each for each in ("protos", "client", "server"))

    @property
    def odd(self) -> bool:
        """Whether it has the odd servers."""
        return (self.tests / "support" / "odd_servers.py").exists()

    @contextmanager
    def started(self, module: str, *arguments: str) -> Iterator[str]:
        """Runs a module while the block runs; gives the line that it says when it is up."""
        path = os.pathsep.join(map(str, (self.tests, *self.path)))
        log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed below
        process = subprocess.Popen(
            [self.python, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONPATH": path, "GRPC_VERBOSITY": "NONE"},
        )
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if not said:
                log.seek(0)
                raise Shortfall(f"{module} did not start:\n{log.read()}")
            yield said.strip()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            log.close()


HERE = Installation()

# The smallest of the bundled models: what the cases expect, whatever else ships with a release.
_BUNDLE = ROOT / "server/digitserve/server/bundled/1"


@contextmanager
def real_server(by: Installation = HERE) -> Iterator[str]:
    """The command, with one bundled model; gives its address."""
    asked = ("--address", "127.0.0.1:0", "--models", str(_BUNDLE))
    with by.started("digitserve.server", *asked) as said:
        yield said.removeprefix("serving on ")


@contextmanager
def only(real: str) -> Iterator[dict[str, Any]]:
    """The real server, as `SERVERS.json` has it."""
    yield {"real": {"address": real}}


@contextmanager
def all_servers(real: str, by: Installation = HERE) -> Iterator[dict[str, Any]]:
    """The real server and, where there are any, the odd ones; as `SERVERS.json` has them."""
    with tempfile.TemporaryDirectory() as folder:
        where: dict[str, Any] = {"real": {"address": real}}
        if not by.odd:
            yield where
            return
        with by.started("support.odd_servers", real, folder) as said:
            yield where | json.loads(said)
