"""How much each identity may ask for: images a second, and streams at once.

A bucket fills at the rate and holds a burst.  What is asked for is taken if there is as much, or if
the bucket is full: what is larger than a burst is not refused for ever, but owed.
"""

from collections.abc import Callable

from digitserve.server.errors import RateExceeded, StreamsExceeded
from digitserve.server.guard.identity import Identity, Kind, Limits


class Bucket:
    """Images that may still be asked for."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        """Makes a full one.

        Args:
            rate: images a second.
            burst: the most that it holds.
            clock: seconds, monotonic.
        """
        self._rate, self._burst, self._clock = rate, burst, clock
        self._held, self._at = burst, clock()

    @property
    def full(self) -> bool:
        """Whether nothing was taken for a while."""
        return self._fill() >= self._burst

    def take(self, images: int) -> float:
        """Takes so many, if they fit.

        Returns:
            0 if they were taken; else the seconds until they would fit.
        """
        lacking = min(images, self._burst) - self._fill()
        if lacking > 0:
            return lacking / self._rate
        self._held -= images
        return 0.0

    def _fill(self) -> float:
        now = self._clock()
        self._held = min(self._burst, self._held + (now - self._at) * self._rate)
        self._at = now
        return self._held


class Account:
    """What one identity has asked for.

    Attributes:
        name: what logs call it.
        streams: how many of its streams are open.
    """

    def __init__(self, identity: Identity, clock: Callable[[], float]) -> None:
        self.name = identity.name
        self.streams = 0
        self._clock = clock
        self.set_limits(identity.limits)

    def set_limits(self, limits: Limits) -> None:
        """Begins anew with these, a full bucket included."""
        self.limits = limits
        rate = limits.images_per_second
        self._bucket = None
        if rate is not None:
            self._bucket = Bucket(rate, limits.burst or max(rate, 1.0), self._clock)

    @property
    def idle(self) -> bool:
        """Whether forgetting it would change nothing."""
        return not self.streams and (self._bucket is None or self._bucket.full)

    def charge(self, images: int) -> None:
        """Counts images that are to be computed.

        Raises:
            RateExceeded: if they are too many for now; says when they would fit.
        """
        if self._bucket is None or not (wait_s := self._bucket.take(images)):
            return
        raise RateExceeded(self.name, float(self.limits.images_per_second or 0), wait_s)

    def open_stream(self) -> None:
        """Counts a stream that begins; `close_stream` must follow.

        Raises:
            StreamsExceeded: if as many as it may have are open.
        """
        most = self.limits.streams
        if most is not None and self.streams >= most:
            raise StreamsExceeded(self.name, most)
        self.streams += 1

    def close_stream(self) -> None:
        """Counts a stream that ends."""
        self.streams -= 1


class Accounts:
    """The accounts of all who asked lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of: dict[tuple[Kind, str], Account] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._of)

    def of(self, identity: Identity) -> Account:
        """The account of this identity, with the limits that it has now."""
        key = (identity.kind, identity.id)
        account = self._of.get(key)
        if account is None:
            account = self._of[key] = self.made(identity)
        elif account.limits != identity.limits:
            account.set_limits(identity.limits)
        return account

    def made(self, identity: Identity) -> Account:
        """A new one."""
        return Account(identity, self._clock)

    def sweep(self) -> None:
        """Forgets those that are idle: an issuer of JWTs may know more people than we have room."""
        for key in [key for key, account in self._of.items() if account.idle]:
            del self._of[key]
