"""Senders of single images, in a process of their own: what a server that is asked too much says.

`python overload_senders.py ADDRESS SECONDS --rate N` starts N calls a second by the clock,
whatever the server does; `--callers N` asks again when a call is answered; `--clients N` does so
through the Python client, which comes back when it is told to.  Over `--channels` connections, each
call with a deadline.  Prints a line of JSON: `sent`; `answered`, seconds from the intended start of
each that was answered in time; `within`, how many of those before the sending was over, since what
a queue still holds then is no rate; `refused`, of them those that were `read`, and of these those
that `told` by RetryInfo and pushback when to come back; `other`, what else ended, by its code;
`late`, the most that a start was late.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import Any

import grpc
import uvloop
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digitserve.client import AsyncDigitClient, CallError, ResourceExhausted
from digitserve.v1 import digits_pb2

_PREDICT = "/digitserve.v1.DigitService/Predict"
_IMAGE = bytes(784)
_REQUEST = digits_pb2.PredictRequest(pixels=_IMAGE).SerializeToString()
# Of the refusals, each so-and-so-many-th is taken apart; reading all of them would be a load too.
_READ = 4


class Senders:
    """Calls, and what came of them."""

    def __init__(self, address: str, channels: int, deadline_s: float) -> None:
        # No retries by gRPC: what is counted are the server's answers.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(channels)]
        self._calls: list[Any] = [each.unary_unary(_PREDICT) for each in self._channels]
        self._deadline_s = deadline_s
        self.sent = self.refused = self.read = self.told = self.within = 0
        self._end = 0.0
        self.answered: list[float] = []
        self.other: Counter[str] = Counter()
        self.late = 0.0

    async def open_loop(self, rate: float, seconds: float) -> None:
        """Starts calls by the clock."""
        await self._connect()
        start = time.monotonic()
        self._end = start + seconds
        async with asyncio.TaskGroup() as tasks:
            for at in range(int(rate * seconds)):
                meant = start + at / rate
                if (wait := meant - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                else:
                    self.late = max(self.late, -wait)
                    if at % 16 == 0:
                        await asyncio.sleep(0)
                tasks.create_task(self._ask(at, meant))

    async def closed_loop(self, callers: int, seconds: float) -> None:
        """Asks again and again."""
        await self._connect()
        self._end = end = time.monotonic() + seconds

        async def caller(at: int) -> None:
            while (now := time.monotonic()) < end:
                await self._ask(at, now)

        await asyncio.gather(*map(caller, range(callers)))

    async def clients(self, address: str, callers: int, seconds: float) -> None:
        """Asks again and again through the client."""
        self._end = end = time.monotonic() + seconds
        clients = [AsyncDigitClient(address, retries=50) for _ in self._channels]
        await asyncio.gather(*[client.health() for client in clients])
        print("asking", flush=True)

        async def caller(at: int) -> None:
            while (now := time.monotonic()) < end:
                self.sent += 1
                try:
                    await clients[at % len(clients)].predict(_IMAGE)
                except ResourceExhausted:
                    self.refused += 1
                except CallError as error:
                    self.other[error.code.name] += 1
                else:
                    self._enter(now)

        await asyncio.gather(*map(caller, range(callers)))

    async def _connect(self) -> None:
        await asyncio.gather(*[channel.channel_ready() for channel in self._channels])
        print("asking", flush=True)

    async def _ask(self, at: int, meant: float) -> None:
        self.sent += 1
        try:
            await self._calls[at % len(self._calls)](_REQUEST, timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                self.other[error.code().name] += 1
                return
            self.refused += 1
            if self.refused % _READ == 0:
                self.read += 1
                self.told += _is_told(error)
        else:
            self._enter(meant)

    def _enter(self, meant: float) -> None:
        now = time.monotonic()
        self.answered.append(now - meant)
        self.within += now < self._end


def _is_told(error: grpc.aio.AioRpcError) -> bool:
    """Whether a refusal says when to come back, both ways."""
    status = rpc_status.from_call(error)
    retry = error_details_pb2.RetryInfo()
    if status is None or not any(detail.Unpack(retry) for detail in status.details):
        return False
    trailers: Any = error.trailing_metadata()
    after_ms = retry.retry_delay.ToMilliseconds()
    return 50 <= after_ms <= 5000 and ("grpc-retry-pushback-ms", f"{after_ms}") in tuple(trailers)


def main() -> None:
    """Sends, and tells."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--callers", type=int)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--deadline", type=float, default=1.0)
    options = parser.parse_args()

    async def run() -> Senders:
        senders = Senders(options.address, options.channels, options.deadline)
        if options.rate:
            await senders.open_loop(options.rate, options.seconds)
        elif options.clients:
            await senders.clients(options.address, options.clients, options.seconds)
        else:
            await senders.closed_loop(options.callers, options.seconds)
        return senders

    told = uvloop.run(run())
    names = ("sent", "answered", "within", "refused", "read", "told", "other", "late")
    print(json.dumps({name: getattr(told, name) for name in names}), flush=True)


if __name__ == "__main__":
    main()
