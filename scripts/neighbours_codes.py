"""Wrong requests, put to this server and to the real Triton: the same codes, the same words.

Triton is the binary inside `nvidia-pytriton`, in the environment that `make bench-peers` makes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.peers.environment import InstallError  # noqa: E402
from benchmarks.peers.known.triton import GATHERING  # noqa: E402
from benchmarks.peers.question import ask_litert  # noqa: E402
from benchmarks.peers.server import PeerError, Server  # noqa: E402
from proving import Skipped, expect  # noqa: E402
from support.command import server_command  # noqa: E402
from support.open_inference import Asking  # noqa: E402
from support.open_inference_wrong import CASES, wrong_request  # noqa: E402


@contextmanager
def _triton() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        try:
            server = Server(GATHERING, ask_litert(), Path(folder))
        except (InstallError, PeerError) as error:
            raise Skipped(f"no Triton here: {error}") from error
        try:
            yield server.place.address
        finally:
            server.tree.end()


def _said(address: str) -> dict[str, tuple[str, str]]:
    """The code and the words with which a server refuses each case."""
    with grpc.insecure_channel(address) as channel:
        return {name: _refused(channel, wrong_request(case)) for name, case in CASES.items()}


def _refused(channel: grpc.Channel, request: Any) -> tuple[str, str]:
    try:
        Asking(channel).infer(request)
    except grpc.RpcError as error:
        return error.code().name, str(error.details())
    return "OK", ""


def wrong_inputs() -> str:
    """Every case; where a code is another one than Triton's, that is written down."""
    with _triton() as address:
        theirs = _said(address)
    with server_command() as command:
        ours = _said(command.address)
    wrong = [
        f"{name}: {ours[name][0]}, Triton {theirs[name][0]}"
        for name, case in CASES.items()
        if ours[name][0] != case.code or theirs[name][0] != (case.triton or case.code)
    ]
    codes = sum(ours[name][0] == theirs[name][0] for name in CASES)
    texts = sum(ours[name] == theirs[name] for name in CASES)
    return expect(
        not wrong,
        f"{len(CASES)} wrong requests: {codes} with Triton's code, {texts} of them to the letter, "
        f"the others as written down; otherwise: {'; '.join(wrong) or 'none'}",
    )


def table() -> str:
    """What both say, as Markdown."""
    with _triton() as address:
        theirs = _said(address)
    rows = [
        f"| {name} | `{case.code}` | `{theirs[name][0]}` | {case.text} |"
        for name, case in CASES.items()
    ]
    return "\n".join(
        ["| what is wrong | here | Triton | text |", "| --- | --- | --- | --- |", *rows]
    )


if __name__ == "__main__":
    print(table() if "--table" in sys.argv else wrong_inputs())
