"""Callers that go on while something happens to servers, and hold every answer to account."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from digitserve.client import CallError, DigitClient, DigitServeError, Frame
from proving import Shortfall, expect

IMAGE = np.zeros((28, 28), np.uint8)
# Frames in a second on each stream.
_PACE = 100.0
# Seconds for one call: patient, so that on a busy machine what fails is lost and not slow.
_CALL_S = 10.0
# Seconds without progress that the client's own resuming allows.
PAUSE_S = 30.0


class Streaming(threading.Thread):
    """A stream of a client that resumes it.

    Attributes:
        longest_s: the longest pause between two answers, so far.
    """

    def __init__(self, addresses: list[str], images: int = 1, pace: float | None = _PACE) -> None:
        super().__init__(daemon=True)
        self._addresses, self._pace = addresses, pace
        self._image = np.repeat(IMAGE[None], images, 0) if images > 1 else IMAGE
        self._over = threading.Event()
        self.sent = 0
        self.answered: list[str] = []
        self.longest_s = 0.0
        self.failed: DigitServeError | None = None

    def run(self) -> None:
        """Streams until it is stopped."""
        try:
            with DigitClient(self._addresses) as client:
                before = time.monotonic()
                for outcome in client.stream(self._frames()):
                    now = time.monotonic()
                    self.longest_s, before = max(self.longest_s, now - before), now
                    self.answered.append(outcome.frame_id)
        except DigitServeError as error:
            self.failed = error

    def stop(self) -> None:
        """Waits for the last answer."""
        self._over.set()
        self.join(2 * PAUSE_S)

    @property
    def wrong(self) -> str:
        """What is not as it should be: each frame answered once, in order; empty: nothing."""
        if self.failed is not None:
            return repr(self.failed)
        if self.answered == [str(number) for number in range(self.sent)]:
            return ""
        doubled = len(self.answered) - len(set(self.answered))
        return f"{self.sent} frames, {len(self.answered)} answers, {doubled} of them doubled"

    def _frames(self) -> Iterator[Frame]:
        while not self._over.is_set():
            self.sent += 1
            yield Frame(self._image, frame_id=str(self.sent - 1))
            if self._pace is not None:
                time.sleep(1 / self._pace)


class Calling(threading.Thread):
    """One call after the other, by a client that knows every ingress.

    Attributes:
        longest_s: the longest time without an answer, so far.
        failed: the calls that were not answered.
    """

    def __init__(self, addresses: list[str], timeout_s: float = _CALL_S) -> None:
        super().__init__(daemon=True)
        self._addresses, self._timeout_s = addresses, timeout_s
        self._over = threading.Event()
        self.answered = self.failed = 0
        self.longest_s = 0.0
        self.last: CallError | None = None

    def run(self) -> None:
        """Calls until it is stopped."""
        with DigitClient(self._addresses, timeout=self._timeout_s) as client:
            before = time.monotonic()
            while not self._over.is_set():
                try:
                    client.predict(IMAGE)
                except CallError as error:
                    self.failed, self.last = self.failed + 1, error
                    continue
                now = time.monotonic()
                self.longest_s, before = max(self.longest_s, now - before), now
                self.answered += 1
                time.sleep(0.01)

    def stop(self) -> None:
        """Waits for the last call."""
        self._over.set()
        self.join(PAUSE_S)


@dataclass
class Callers:
    """Who calls while something happens: from each ingress on, one of either kind."""

    streams: list[Streaming]
    calls: list[Calling]

    def start(self, stack: ExitStack) -> None:
        """Starts them; they stop when the stack unwinds."""
        threads: list[Streaming | Calling] = [*self.streams, *self.calls]
        for each in threads:
            each.start()
            stack.callback(each.stop)

    def beyond(self, sent: list[int]) -> bool:
        """Whether every stream has answered more frames than these."""
        return all(len(each.answered) > of for each, of in zip(self.streams, sent, strict=True))

    def figure(self) -> str:
        """What they saw."""
        frames = sum(each.sent for each in self.streams)
        return (
            f"{frames} frames on {len(self.streams)} streams, each answered once; longest pause of "
            f"a stream {max(each.longest_s for each in self.streams):.1f} s, of calls "
            f"{max(each.longest_s for each in self.calls):.1f} s; "
            f"{sum(each.failed for each in self.calls)} of "
            f"{sum(each.answered + each.failed for each in self.calls)} calls failed"
        )

    def judged(self, figure: str, most_failed: int | None = None) -> str:
        """Gives the figure, if every frame was answered once.

        Raises:
            Shortfall: if one was not.
            OutOfBounds: if more calls failed than may; on a busy machine Ray falls behind.
        """
        if wrong := [each.wrong for each in self.streams if each.wrong]:
            raise Shortfall(f"{figure}: {wrong}")
        failed = sum(each.failed for each in self.calls)
        bounds = most_failed is None or failed <= most_failed
        last = next((f"; {each.last!r}" for each in self.calls if each.last), "")
        return expect(True, f"{figure}; {self.figure()}" + ("" if bounds else last), bounds=bounds)
