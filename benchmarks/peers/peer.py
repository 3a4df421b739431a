"""What there is to say of a server that is measured: how to install, start and ask it."""

import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.wire import Wire

ROOT = Path(__file__).parents[2]
SERVERS = "benchmarks.peers.servers"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server runs.

    Attributes:
        python: the interpreter of its environment.
        folder: an empty folder of its own, its working directory and its HOME.
        grpc: the port, on loopback, that it shall answer gRPC on.
        http: a free port for those that insist on HTTP.
        spare: a free port for those that insist on a third.
    """

    python: Path
    folder: Path
    grpc: int
    http: int
    spare: int

    @property
    def address(self) -> str:
        """Where to ask."""
        return f"127.0.0.1:{self.grpc}"

    @property
    def packages(self) -> Path:
        """Its environment's site-packages."""
        major, minor = sys.version_info[:2]
        return self.python.parents[1] / f"lib/python{major}.{minor}/site-packages"

    def serve(self, module: str, *, http: bool = True) -> list[str]:
        """The command of one of our `servers/`, with its ports."""
        ports = [self.grpc, self.http] if http else [self.grpc]
        return [str(self.python), "-m", f"{SERVERS}.{module}", *map(str, ports)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server that is measured.

    Attributes:
        name: in the table.
        wire: how it is asked.
        command: how it is started; may write its configuration into the place's folder.
        requirements: `requirements/peers/<this>.txt`, installed in `.venv-peers/<this>`.  Empty:
            the environment that runs this.
        variables: of its environment, beside those that all have.
        stubs: whether it needs the stubs of `protos/`.  No others see them: their own descriptors
            of the Open Inference Protocol may clash with what stands there one day.
        model: whether its answers are the network's (the echo's are not).
        needed: unary calls a second of digitserve, as a ratio to this.  None: reported only.
        packages: whose versions are worth a line in the results.
    """

    name: str
    wire: Wire
    command: Callable[[Place], list[str]]
    requirements: str = ""
    variables: Callable[[Place], dict[str, str]] = field(default=lambda _: {})
    stubs: bool = False
    model: bool = True
    needed: float | None = None
    packages: tuple[str, ...] = ()


def shared_libraries() -> str:
    """The folder of this Python's own libpython; Triton's Python backend loads it."""
    return str(sysconfig.get_config_var("LIBDIR"))
