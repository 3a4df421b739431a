"""A real server on a real wire, for tests: on a loop and a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from digitserve.server.app import Server
from digitserve.server.config import Config
from digitserve.server.engines import Engine
from digitserve.server.turns import Turns
from digitserve.server.versions.loading import BUNDLED
from digitserve.server.versions.version import Version
from digitserve.v1 import digits_pb2_grpc, manifest_pb2, models_pb2_grpc

T = TypeVar("T")

# Port 0, one small model, and no patience: a test that must wait for a lame duck says so.
TEST_CONFIG = Config(
    addresses=("127.0.0.1:0",), models=BUNDLED / "1", lame_duck_s=0.0, grace_s=10.0
)


@dataclass(frozen=True)
class Serving:
    """A server that is up."""

    server: Server
    address: str
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine where the server lives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=60)

    def tasks(self) -> int:
        """How many tasks live on the server's loop."""

        async def count() -> int:
            return len(asyncio.all_tasks())

        return self.run(count())

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """A connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options) as channel:
            yield channel

    @contextmanager
    def digits(self) -> Iterator[digits_pb2_grpc.DigitServiceStub]:
        """The generated stub of DigitService."""
        with self.channel() as channel:
            yield digits_pb2_grpc.DigitServiceStub(channel)

    @contextmanager
    def models(self) -> Iterator[models_pb2_grpc.ModelServiceStub]:
        """The generated stub of ModelService."""
        with self.channel() as channel:
            yield models_pb2_grpc.ModelServiceStub(channel)


def versions_of(engine: Engine, *, inline: bool = True) -> list[Version]:
    """Version 1, run by this engine."""
    turns = Turns([engine], inline=inline, images=TEST_CONFIG.turn_images)
    return [Version(1, turns, manifest_pb2.ModelManifest(description="a test's"))]


@contextmanager
def serving(
    config: Config = TEST_CONFIG, versions: Sequence[Version] | None = None
) -> Iterator[Serving]:
    """Runs a server while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    async def start() -> tuple[Server, str]:
        server = Server(config, versions)
        (address, *_) = await server.start()
        return server, address

    try:
        server, address = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=60)
        up = Serving(server, address, loop)
        try:
            yield up
        finally:
            up.run(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
