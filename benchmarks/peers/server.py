"""One server while it is measured: started, believed, asked, weighed, ended."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from benchmarks.peers.environment import interpreter, versions
from benchmarks.peers.peer import ROOT, Peer, Place
from benchmarks.peers.process import Tree
from benchmarks.peers.question import Question

Call: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"  # generic in its stubs only

START_S = 180.0
CLIENT_S = 120.0
TOLERANCE = 1e-5  # of a probability; all run the same compiled network


class PeerError(Exception):
    """A server that could not be started or asked, or that answered wrongly."""


class Server:
    """A peer that is up and has answered every image rightly.

    Attributes:
        start_s: seconds from the command to the first right answer.
        versions: of the packages that matter.
    """

    def __init__(self, peer: Peer, question: Question, folder: Path) -> None:
        """Installs and starts the peer, and checks its answers.

        Raises:
            PeerError: if it does not serve, or not the network.
            InstallError: if it cannot be installed.
        """
        self.peer, self._question = peer, question
        python = interpreter(peer)
        self.versions = versions(python, peer.packages)
        self.place = Place(python, folder, *free_ports(3))
        self._requests = [peer.wire.encode(image) for image in question.images]
        command = peer.command(self.place)
        begun = time.perf_counter()
        self.tree = Tree(command, _variables(peer, self.place), folder)
        try:
            self._wait_for_an_answer()
            self.start_s = time.perf_counter() - begun
            self._check(dict(enumerate(self._ask_all())))
        except BaseException:
            self.tree.end()
            raise

    def measure(self, **job: float) -> dict[str, float]:
        """Lets the load generator ask; the job is told in `load.py`.

        Returns:
            Calls a second, the p50 at one caller in microseconds, and the server's CPU time for
            one call of the closed loops in microseconds.

        Raises:
            PeerError: if a call fails, or any image was answered wrongly.
        """
        encoded = [base64.b64encode(request).decode() for request in self._requests]
        told = {"address": self.place.address, "method": self.peer.wire.method}
        before = self.tree.cpu_seconds()
        came = run_client(
            [sys.executable, "-m", "benchmarks.peers.clients.load"],
            {"requests": encoded, **told, **job},
        )
        replies = {int(at): base64.b64decode(reply) for at, reply in came.pop("replies").items()}
        self._check(replies)
        calls = came.pop("calls")
        return came | {"cpu_us": (self.tree.cpu_seconds() - before) / calls * 1e6}

    def _wait_for_an_answer(self) -> None:
        deadline = time.monotonic() + START_S
        said = "no answer"
        options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
                   ("grpc.max_reconnect_backoff_ms", 100)]  # fmt: skip
        with grpc.insecure_channel(self.place.address, options) as channel:
            call: Call = channel.unary_unary(self.peer.wire.method)
            while time.monotonic() < deadline:
                if (code := self.tree.root.poll()) is not None:
                    raise PeerError(f"ended with {code}: {self.tree.last_words()}")
                try:
                    call(self._requests[0], timeout=5)
                except grpc.RpcError as error:
                    said = f"{error.code().name}: {error.details()}"
                    time.sleep(0.02)
                else:
                    return
        words = self.tree.last_words()
        raise PeerError(f"not ready after {START_S:.0f} s: {said}; it says: {words}")

    def _ask_all(self) -> list[bytes]:
        with grpc.insecure_channel(self.place.address) as channel:
            call: Call = channel.unary_unary(self.peer.wire.method)
            try:
                return [call(request, timeout=30) for request in self._requests]
            except grpc.RpcError as error:
                raise PeerError(f"{error.code().name}: {error.details()}") from error

    def _check(self, replies: dict[int, bytes]) -> None:
        """Each reply says what raw LiteRT says of its image."""
        if not self.peer.model:
            return
        for at, reply in replies.items():
            expected = self._question.probabilities[at]
            try:
                answer = self.peer.wire.decode(reply)
            except (DecodeError, IndexError, ValueError) as error:
                raise PeerError(f"image {at}: no answer in {reply[:60]!r}") from error
            if answer.shape != expected.shape or np.abs(answer - expected).max() > TOLERANCE:
                raise PeerError(f"image {at}: expected {expected}, got {answer}")


def run_client(command: list[str], job: dict[str, Any], **variables: str) -> dict[str, Any]:
    """Runs one client process: a job in, figures out.

    Raises:
        PeerError: if it fails.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=CLIENT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"the calls did not come to an end within {CLIENT_S:.0f} s") from error
    if done.returncode:
        raise PeerError(" ".join((done.stderr.strip() or "no word").split())[-300:])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _variables(peer: Peer, place: Place) -> dict[str, str]:
    """The runner's own, but for where Python looks and where a peer leaves what it keeps."""
    paths = [ROOT, ROOT / "protos"] if peer.stubs else [ROOT]
    return os.environ | {
        "HOME": str(place.folder),
        "TMPDIR": str(place.folder),
        "XDG_CACHE_HOME": str(place.folder),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **peer.variables(place),
    }
