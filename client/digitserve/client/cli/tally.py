"""What a stream came to."""

import statistics
import time
from collections import Counter, deque

from digitserve.client import Outcome, Predicted


class Tally:
    """What a stream came to: counts, rate, and the server's own times."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        # The last frames tell the percentiles; an endless stream must not fill the memory.
        self._times: deque[float] = deque(maxlen=100_000)
        self._start = time.monotonic()

    @property
    def frames(self) -> int:
        """How many frames had an outcome."""
        return self._kinds.total()

    @property
    def failed(self) -> int:
        """How many frames failed."""
        return self._kinds["Failed"]

    def count(self, outcome: Outcome) -> None:
        """Enters an outcome."""
        self._kinds[type(outcome).__name__] += 1
        if isinstance(outcome, Predicted):
            self._times.append(outcome.wait + outcome.model)

    def line(self) -> str:
        """All of it in a line."""
        took = time.monotonic() - self._start
        said = (
            f"{self.frames} frames: {self._kinds['Predicted']} predicted, {self.failed} failed, "
            f"{self._kinds['Skipped']} skipped; {self.frames / took:.0f} frames/s"
        )
        if len(self._times) > 1:
            # Inclusive: no percentile lies beyond what was measured.
            cuts = statistics.quantiles(self._times, n=100, method="inclusive")
            said += f"; in the server p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"
        return said
