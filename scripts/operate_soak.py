"""A long mixed load: what a server holds at the end is what it held at the beginning."""

import gc
import itertools
import logging
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import grpc

from digitserve.client import Delivery, DigitClient, Frame
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from proving import expect
from support.command import Command, slow_server

# What grpc.aio says when one of several event loops is closed before another, as pipelines do.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

IMAGE = bytes(784)
_FLAT = 0.05
# Seconds for what was closed to go, at most; and after which nothing more goes.
_SETTLED_S, _STEADY_S = 90.0, 8.0


def soak(seconds: float) -> str:
    """Calls, batches, streams, pipelines, mistakes, cancelled calls and new connections."""
    with slow_server("--bundled", log=subprocess.DEVNULL) as command:
        _load(command, min(5.0, seconds / 4))  # what is made once is made before
        before = _settled(command)
        held, came = _load(command, seconds)
        after = _settled(command)
    half = held[len(held) // 2 :]
    moved = (max(half) - min(half)) / min(half)
    grown = after[0] / before[0] - 1
    left = [now - then for now, then in zip(after[1:], before[1:], strict=True)]
    return expect(
        max(left) <= 0 and not came["faults"],
        f"{seconds:.0f} s, {', '.join(f'{n} {what}' for what, n in sorted(came.items()))}; "
        f"resident {after[0] / 1e6:.0f} MB, moved {moved:.1%} in the second half, grown "
        f"{grown:+.1%}, bound {_FLAT:.0%}; left behind: {left[0]} descriptors, {left[1]:.0f} tasks",
        bounds=moved <= _FLAT and grown <= _FLAT,
    )


def _settled(command: Command) -> tuple[int, int, float]:
    """Resident bytes, descriptors and tasks, as soon as what was closed is gone."""
    gc.collect()  # channels that nobody has any more keep their connections until then
    give_up = time.monotonic() + _SETTLED_S
    told, fewest = command.told()["tasks"], command.descriptors()
    since = time.monotonic()
    while time.monotonic() < give_up and time.monotonic() < since + _STEADY_S:
        time.sleep(0.5)
        now, descriptors = command.told()["tasks"], command.descriptors()
        if now < told or descriptors < fewest:
            since = time.monotonic()
        told, fewest = min(now, told), min(descriptors, fewest)
    return command.resident_bytes(), command.descriptors(), command.told()["tasks"]


def _load(command: Command, seconds: float) -> tuple[list[int], Counter[str]]:
    """Puts the server under the load; gives what it held meanwhile, and what came of it."""
    came: Counter[str] = Counter(faults=0)
    over = threading.Event()
    ways = (_calls, _streams, _pipelined, _newcomers, _mistakes)

    def again(way: Callable[[str, Counter[str], random.Random], None], seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - not a secret
        while not over.is_set():
            try:
                way(command.address, came, chance)
            except Exception as error:  # whatever it is: a way that ends is a load that ends
                came["faults"] += 1
                came[f"{type(error).__name__}"] += 1

    threads = [threading.Thread(target=again, args=(way, at)) for at, way in enumerate(ways)]
    for each in threads:
        each.start()
    held = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(seconds / 100)
        held.append(command.resident_bytes())
    over.set()
    for each in threads:
        each.join()
    return held, came


def _calls(address: str, came: Counter[str], chance: random.Random) -> None:
    with DigitClient(address) as client:
        for _ in range(50):
            came["images"] += len(client.predict_batch([IMAGE] * chance.choice([1, 1, 1, 8, 200])))


def _streams(address: str, came: Counter[str], chance: random.Random) -> None:
    frames = (Frame(IMAGE, frame_id=str(at)) for at in itertools.count())
    delivery = chance.choice(list(Delivery))
    with DigitClient(address) as client, client.stream(frames, delivery=delivery) as stream:
        for _ in itertools.islice(stream, chance.randint(1, 300)):
            came["frames"] += 1


def _pipelined(address: str, came: Counter[str], chance: random.Random) -> None:
    with DigitClient(address) as client, client.pipeline() as pipeline:
        for _ in range(chance.randint(1, 100)):
            pipeline.predict(IMAGE)
            came["pipelined"] += 1


def _newcomers(address: str, came: Counter[str], chance: random.Random) -> None:
    """Connects, asks, and leaves: also in the middle of a call."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        call = stub.Predict.future(digits_pb2.PredictRequest(pixels=IMAGE), timeout=10)
        if chance.random() < 0.5:
            call.cancel()
        else:
            call.result()
        came["connections"] += 1


def _mistakes(address: str, came: Counter[str], chance: random.Random) -> None:
    wrong = digits_pb2.PredictRequest(pixels=chance.randbytes(chance.randint(0, 3000)), count=3)
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = digits_pb2_grpc.DigitServiceStub(channel)
        for _ in range(20):
            with suppress(grpc.RpcError):
                stub.Predict(wrong, timeout=10)
            came["mistakes"] += 1
            time.sleep(0.01)
