"""A server whose engine takes a set time for each image: `python -m support.slow_server --help`.

Prints `serving on ADDRESS`; at SIGUSR1 a line of JSON: tasks on its loop, the longest engine call
in seconds, images and calls refused so far.
"""

import asyncio
import ctypes
import gc
import json
import signal
import time
from dataclasses import replace

import click
import numpy as np
import numpy.typing as npt

from digitserve.server.app import Server
from digitserve.server.engines import Answer
from digitserve.server.loops import loop_factory
from digitserve.server.turns import Turns
from digitserve.server.versions.version import Version
from digitserve.v1 import manifest_pb2
from support.engines import InkEngine
from support.serving import TEST_CONFIG


class SlowEngine(InkEngine):
    """Takes its time, off the loop, and remembers its longest call."""

    name = "slow"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.longest = 0.0
        self._seconds = seconds

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        start = time.monotonic()
        time.sleep(self._seconds * len(images))  # the engine's work, not a test's waiting
        answer = super().predict(images)
        self.batches[:] = [self.images]  # the sum alone: what grows here would look like a leak
        self.longest = max(self.longest, time.monotonic() - start)
        return answer


@click.command()
@click.option("--image-ms", type=float, default=0.0, help="What an image takes.")
@click.option("--turn-images", type=int, help="Images in a turn; default: as the server would.")
@click.option("--bundled", is_flag=True, help="The bundled network instead.")
def main(image_ms: float, turn_images: int | None, bundled: bool) -> None:
    """Serves until SIGINT."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(image_ms, turn_images, bundled=bundled))


async def _serve(image_ms: float, turn_images: int | None, *, bundled: bool) -> None:
    engine = SlowEngine(image_ms / 1000)
    most = TEST_CONFIG.turn_images
    if image_ms:
        most = int(min(max(1, TEST_CONFIG.turn_ms / image_ms), most))
    turns = Turns([engine], inline=not image_ms, images=turn_images or most)
    manifest = manifest_pb2.ModelManifest(description="a test's")
    # Who wants longer turns wants to see how long others wait for them.
    config = replace(TEST_CONFIG, max_wait_s=60.0) if turn_images else TEST_CONFIG
    server = Server(config, None if bundled else [Version(1, turns, manifest)])
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, over.set)
    loop.add_signal_handler(signal.SIGUSR1, _tell, engine, server)
    (address,) = await server.start()
    print(f"serving on {address}", flush=True)
    await over.wait()
    await server.stop()


def _tell(engine: SlowEngine, server: Server) -> None:
    # What waits for the collector, or is only kept by the allocator, was not left behind.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    told = {
        "tasks": len(asyncio.all_tasks()),
        "longest": engine.longest,
        "images": engine.images,
        "refused": server.admission.refused,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
