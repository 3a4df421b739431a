"""A stand-in for a server that writes down how images come, and answers when it is told to."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from digitserve.v1 import digits_pb2, digits_pb2_grpc


class Listener(digits_pb2_grpc.DigitServiceServicer):  # type: ignore[misc]
    """Answers each image of a stream with the digit of its first pixel.

    Attributes:
        counts: how many images each message held.
        most_unanswered: the most messages that ever were.
        two: set once two were.
        answering: whether it answers now; what came while it did not is answered after.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.most_unanswered = 0
        self.two, self.answering = threading.Event(), threading.Event()
        self.answering.set()

    async def StreamPredict(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[digits_pb2.StreamPredictRequest], context: Any
    ) -> None:
        """Reads on while answers are held."""
        unanswered: deque[digits_pb2.Frame] = deque()
        came = asyncio.Event()

        async def answer() -> None:
            for sequence in range(1 << 30):
                while not unanswered:
                    came.clear()
                    await came.wait()
                if not self.answering.is_set():
                    await asyncio.to_thread(self.answering.wait, 30)
                frame = unanswered.popleft()
                await context.write(_answer(sequence, frame))

        answering = asyncio.ensure_future(answer())
        try:
            async for request in requests:
                self.counts.append(request.frame.count or 1)
                unanswered.append(request.frame)
                self.most_unanswered = max(self.most_unanswered, len(unanswered))
                if self.most_unanswered > 1:
                    self.two.set()
                came.set()
        finally:
            answering.cancel()


def _answer(sequence: int, frame: digits_pb2.Frame) -> digits_pb2.StreamPredictResponse:
    digits = frame.pixels[::784]
    response = digits_pb2.StreamPredictResponse(sequence=sequence)
    response.predicted.model_version = 1
    response.predicted.predictions.extend([digits_pb2.Prediction(digit=each) for each in digits])
    return response


@contextmanager
def listening() -> Iterator[tuple[Listener, str]]:
    """A listener and its address."""
    listener, loop = Listener(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="listener")
    thread.start()

    async def start() -> tuple[grpc.aio.Server, str]:
        server = grpc.aio.server()
        digits_pb2_grpc.add_DigitServiceServicer_to_server(listener, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, f"127.0.0.1:{port}"

    try:
        server, address = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=30)
        yield listener, address
        listener.answering.set()
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
