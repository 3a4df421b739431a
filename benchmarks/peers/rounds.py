"""All servers up, one thawed at a time, in rounds of short turns.

    start each ──▶ ┌ round: thaw ─▶ load ─▶ check replies ─▶ freeze, for each server ┐ ──▶ weigh
                   └────────────────────── again, in another order ─────────────────┘

A machine that other work slows down slows the servers of one round alike: see `figures.ratio`.
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environment import InstallError
from benchmarks.peers.figures import in_turns
from benchmarks.peers.known import OURS, TRITON
from benchmarks.peers.peer import Peer
from benchmarks.peers.pipelining import one_by_one, pipelined
from benchmarks.peers.question import Question
from benchmarks.peers.server import PeerError, Server

AGAIN = f"{OURS.name} again"  # A against A: what a ratio of 1 looks like on this machine today
PIPELINED = "pipelined"
OURS_PIPELINED, TRITON_CLIENT = "digitserve client, pipelined", "tritonclient, infer()"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run takes.

    Attributes:
        rounds: how many.
        starts: of each server; the median counts.
        seconds: of each closed loop with many callers.
        alone_seconds: of each with one.
        callers: calls in flight on the one connection.
    """

    rounds: int = 8
    starts: int = 3
    seconds: float = 2.5
    alone_seconds: float = 1.0
    callers: int = 16


SHORT = Plan(rounds=3, starts=1, seconds=2.0, alone_seconds=0.7)


@dataclass(slots=True)
class Run:
    """What is known so far.

    Attributes:
        question: what all are asked.
        servers: those that are up, frozen.
        failures: of a server or a row, by name, and why.
        turns: what each turn of a server measured, a round each.
        predictions: predictions a second of each client, a round each; empty: no such client.
        start_s: seconds from the command to the first right answer, by server.
        weights: bytes of PSS and RSS after all rounds, by server.
        versions: of the packages that matter, by server.
    """

    question: Question
    servers: dict[str, Server] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    turns: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    predictions: dict[str, list[float]] = field(default_factory=dict)
    start_s: dict[str, float] = field(default_factory=dict)
    weights: dict[str, tuple[int, int]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def start(self, peer: Peer, folder: Path, starts: int) -> None:
        """Starts a server as often as that and keeps the last one, frozen."""
        took = []
        try:
            for number in range(starts):
                server = Server(peer, self.question, Path(tempfile.mkdtemp(dir=folder)))
                self.servers[peer.name] = server
                took.append(server.start_s)
                if number < starts - 1:
                    self.servers.pop(peer.name).tree.end()
        except (InstallError, PeerError, OSError) as error:
            self._fail(peer.name, error)
            return
        server.tree.freeze()
        self.start_s[peer.name], self.versions[peer.name] = statistics.median(took), server.versions
        print(f"{peer.name}: {len(self.question.images)} answers right", flush=True)

    def round(self, number: int, plan: Plan) -> None:
        """A turn for each server, and one for the clients."""
        names = [*self.servers]
        if OURS.name in names:
            names.append(AGAIN)
        if {OURS.name, TRITON.name} <= self.servers.keys():
            names.append(PIPELINED)
        for name in in_turns(names, number):
            if name == PIPELINED:
                self._clients(plan)
            else:
                self._turn(name, plan)
        print(f"round {number + 1} of {plan.rounds}", flush=True)

    def weigh(self) -> None:
        """What each server holds in memory, now that it has worked."""
        self.weights = {name: server.tree.weigh() for name, server in self.servers.items()}

    def end(self) -> None:
        """Ends every server."""
        for server in self.servers.values():
            server.tree.end()

    def _turn(self, name: str, plan: Plan) -> None:
        peer = OURS.name if name == AGAIN else name
        if (server := self.servers.get(peer)) is None:
            return  # it failed earlier in this round
        job = {"callers": plan.callers, "seconds": plan.seconds}
        try:
            with _thawed(server):
                measured = server.measure(**job, alone_seconds=plan.alone_seconds)
        except PeerError as error:
            self._fail(peer, error)
        else:
            self.turns.setdefault(name, []).append(measured)

    def _clients(self, plan: Plan) -> None:
        if PIPELINED in self.failures or not {OURS.name, TRITON.name} <= self.servers.keys():
            return
        ours, triton = self.servers[OURS.name], self.servers[TRITON.name]
        try:
            with _thawed(ours):
                mine = pipelined(ours, self.question, plan.seconds)
            with _thawed(triton):
                theirs = one_by_one(triton, self.question, plan.seconds)
        except PeerError as error:
            self.failures[PIPELINED] = str(error)
            return
        for name, rate in ((OURS_PIPELINED, mine), (TRITON_CLIENT, theirs)):
            self.predictions.setdefault(name, []).append(rate)

    def _fail(self, name: str, error: Exception) -> None:
        self.failures[name] = " ".join(str(error).split())
        print(f"{name}: FAILED: {self.failures[name]}", flush=True)
        if (server := self.servers.pop(name, None)) is not None:
            server.tree.end()


@contextmanager
def _thawed(server: Server) -> Iterator[None]:
    server.tree.thaw()
    try:
        yield
    finally:
        server.tree.freeze()
