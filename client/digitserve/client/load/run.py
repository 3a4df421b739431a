"""One measurement from its first call to its last: learn, warm up, measure."""

import asyncio
from collections.abc import Mapping
from typing import Any

from digitserve.client import AsyncDigitClient, Prediction
from digitserve.client.load.batches import batches_of
from digitserve.client.load.data import Images
from digitserve.client.load.kinds import Load, drive, learn
from digitserve.client.load.meter import Meter
from digitserve.client.load.record import Record


class Run:
    """A measurement, and what it has come to so far.

    Attributes:
        load: what the server is put under.
        images: what it is sent.
        count: images a call or frame.
        meter: made the loop that it runs on.
        record: of the measured time; None before that.
        answers: the first answer to each image, where they are compared or the labels known.
    """

    def __init__(self, load: Load, images: Images, count: int) -> None:
        self.load = load
        self.images = images
        self.count = count
        self.meter = Meter()
        self.record: Record | None = None
        self.answers: list[Prediction] = []

    @property
    def accuracy(self) -> float | None:
        """The share of the images that were read as their label says; None without labels."""
        if self.images.labels is None or not self.answers:
            return None
        pairs = zip(self.answers, self.images.labels, strict=True)
        return sum(said.digit == label for said, label in pairs) / len(self.answers)

    def go(
        self,
        address: str,
        *,
        seconds: float,
        warm_up: float,
        check: bool,
        access: Mapping[str, Any] | None = None,
    ) -> None:
        """Measures.

        Args:
            address: of the server.
            seconds: for how long calls are started.
            warm_up: for how long before that, unmeasured.
            check: whether the answers to each image are compared with the first.
            access: how to be let in, as `AsyncDigitClient` takes it.

        Raises:
            CallError: if the server is not there, or refuses the first calls.
            KeyboardInterrupt: if the user has enough; what was measured is here.
        """
        with asyncio.Runner(loop_factory=self.meter.loop) as runner:
            runner.run(self._go(address, seconds, warm_up, check=check, access=access or {}))

    async def _go(
        self,
        address: str,
        seconds: float,
        warm_up: float,
        *,
        check: bool,
        access: Mapping[str, Any],
    ) -> None:
        clock = asyncio.get_running_loop().time
        pixels, load = self.images.pixels, self.load
        # What the server refuses is a part of what is measured.
        timeout, never = load.timeout, 0
        async with AsyncDigitClient(address, timeout=timeout, retries=never, **access) as client:
            # Whatever the server has against such calls it says here, before anything is measured.
            (first,) = batches_of(pixels[:1], self.count)
            await client.predict_batch(first.images, **load.model)
            if check or self.images.labels is not None:
                self.answers = await learn(load, client, pixels)
            batches = batches_of(pixels, self.count, self.answers if check else None)
            if warm_up:
                warming = Record(clock() + warm_up)
                await drive(load, client, batches, warming)
                if warming.gone is not None:
                    raise warming.gone
            self.record = Record(clock() + seconds)
            with self.meter:
                await drive(load, client, batches, self.record)
