"""Servers that are hard on their callers, in one process, for clients to be tried on.

    slow     500 ms an image
    busy     refuses every other call, with a pushback
    aging    a stream is too old after a quarter of a second; 10 ms an image
    leaving  drains after 20 images, once; 10 ms an image
    guarded  wants TLS and a token; passes on to the real server

`python -m support.odd_servers REAL-ADDRESS FOLDER` prints where they are, as one line of JSON, and
serves until it is killed.  The certificate is written into the folder.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from digitserve.server.app import Server
from digitserve.server.config import Config
from digitserve.server.engines import Answer, Engine
from digitserve.server.errors import QueueFull
from digitserve.server.turns import Turns
from digitserve.server.versions.loading import open_versions
from digitserve.server.versions.version import Version
from support.serving import TEST_CONFIG

TOKEN = "correct horse"  # noqa: S105 - the cases name it
Before = Callable[[int], None]


class OddEngine:
    """Answers as the real one does, after `before` was told how often it was asked."""

    def __init__(self, real: Engine, before: Before) -> None:
        self.name = real.name
        self._real, self._before, self._calls = real, before, 0

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        self._calls += 1
        self._before(self._calls)
        return self._real.predict(images)


async def _serve(before: Before, config: Config = TEST_CONFIG) -> tuple[Server, str]:
    """Starts a server, one image a turn, with this before each."""
    versions = [
        Version(each.number, _odd_turns(each, before), each.manifest)
        for each in open_versions(config)
    ]
    server = Server(config, versions)
    (address,) = await server.start()
    return server, address


def _odd_turns(version: Version, before: Before) -> Turns:
    return Turns([OddEngine(version.turns.engine, before)], inline=False, images=1)


def _takes(seconds: float) -> Before:
    return lambda _: time.sleep(seconds)  # the engine's work, not a test's waiting


def _refuses_every_other(calls: int) -> None:
    if calls % 2:
        raise QueueFull("busy", 1.0)


async def _main(real: str, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    leaving: list[Server] = []

    def leaves_after_twenty(calls: int) -> None:
        time.sleep(0.01)
        if calls == 20:
            asyncio.run_coroutine_threadsafe(leaving[0].drain(0.0), loop)

    started = {
        "slow": await _serve(_takes(0.5)),
        "busy": await _serve(_refuses_every_other),
        "aging": await _serve(_takes(0.01), replace(TEST_CONFIG, stream_max_age_s=0.25)),
        "leaving": await _serve(leaves_after_twenty),
    }
    leaving.append(started["leaving"][0])
    where = {name: {"address": address} for name, (_, address) in started.items()}
    where["guarded"] = _guard(real, folder)
    print(json.dumps(where), flush=True)
    await asyncio.Event().wait()


# --- TLS and a token -----------------------------------------------------------------------------


def _guard(real: str, folder: Path) -> dict[str, str]:
    """Starts the guarded server; says where it is and whom to trust."""
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            # rustls takes no authority for a server; openssl makes one unless told otherwise.
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        ],
        check=True,
        capture_output=True,
    )
    pair = (key.read_bytes(), certificate.read_bytes())
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Guard(grpc.insecure_channel(real)),))
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    _guards.append(server)
    return {"address": f"localhost:{port}", "ca": str(certificate)}


_guards: list[grpc.Server] = []  # a server that nobody holds stops


class _Guard(grpc.GenericRpcHandler):
    """Passes on the bytes of whoever has the token."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        pairs = [(key, value) for key, value in details.invocation_metadata]
        known = ("authorization", f"Bearer {TOKEN}") in pairs
        onward: Any = self._channel.stream_stream(details.method)

        def handle(requests: Iterable[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if not known:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token, or a wrong one")
            yield from onward(requests, timeout=20)

        return grpc.stream_stream_rpc_method_handler(handle)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))
