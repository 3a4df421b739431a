"""The row of the clients: 64 concurrent predictions of one Python process, theirs and ours.

It compares many images a message with one image a message, on purpose: that is what a pipelining
client is for.
"""

import base64
import sys

from benchmarks.peers.peer import ROOT
from benchmarks.peers.question import Question
from benchmarks.peers.server import PeerError, Server, run_client

CALLERS = 64
NEEDED, AIM = 15.0, 28.0


def pipelined(server: Server, question: Question, seconds: float) -> float:
    """Predictions a second of digitserve's pipelining client.

    Raises:
        PeerError: if a call fails or a digit is wrong.
    """
    paths = f"{ROOT}:{ROOT}/protos:{ROOT}/client"
    command = [sys.executable, "-m", "benchmarks.peers.clients.digitserve"]
    return _measure(command, server, question, seconds, PYTHONPATH=paths)


def one_by_one(server: Server, question: Question, seconds: float) -> float:
    """The same of tritonclient's async client.

    Raises:
        PeerError: if a call fails or a digit is wrong.
    """
    command = [str(server.place.python), "-m", "benchmarks.peers.clients.triton"]
    return _measure(command, server, question, seconds)


def _measure(
    command: list[str], server: Server, question: Question, seconds: float, **variables: str
) -> float:
    images = base64.b64encode(question.images.tobytes()).decode()
    job = {"address": server.place.address, "images": images, "callers": CALLERS}
    came = run_client(command, job | {"seconds": seconds}, **variables)
    expected = question.probabilities.argmax(axis=1)
    for at, digit in came["digits"].items():
        if digit != expected[int(at)]:
            raise PeerError(f"image {at}: expected {expected[int(at)]}, got {digit}")
    rate: float = came["predictions_per_second"]
    return rate
