"""A version that answers: its network, whose turn it is there, and how it has done so far."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum

from digitserve.server.codec import Images
from digitserve.server.engines import Answer
from digitserve.server.errors import DomainError
from digitserve.server.turns import Prepare, Turn, Turns
from digitserve.v1 import manifest_pb2


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured of a network when it was loaded.

    Attributes:
        accuracy: the share of the gate set that it reads right; None if it was not asked.
        image_us: microseconds for one image alone; None if it was not timed.
        gate_set: what tells the gate set from others.
    """

    accuracy: float | None = None
    image_us: float | None = None
    gate_set: str = ""

    def __str__(self) -> str:
        if self.accuracy is None:
            return ""
        return f": {self.accuracy:.2%} of the gate set, {self.image_us:.0f} us an image"


@dataclass(slots=True, eq=False)
class Version:
    """A version that answers.

    Attributes:
        number: its number, from 1.
        turns: its engine, and whose turn it is there.
        manifest: what its bundle says of it.
        findings: what was measured of it.
        images: how many images it has answered.
        failures: how many turns its network has broken in a row.
        on_failure: told after each of those.
        listener: given the images of each turn, and the answer, while a shadow wants them.
    """

    number: int
    turns: Turns
    manifest: manifest_pb2.ModelManifest
    findings: Findings = field(default_factory=Findings)
    images: int = 0
    failures: int = 0
    on_failure: "Callable[[Version, Exception], None] | None" = None
    listener: Callable[[Images, Answer], None] | None = None

    async def predict(
        self, prepare: Prepare, caller: Hashable, waiting: int, *, again: bool = False
    ) -> Turn | None:
        """Waits for a turn and classifies; see `Turns.predict`.

        A turn that breaks `again`, since a part of it broke before, counts as one failure with it.
        """
        asked: list[Images | None] = []
        listener = self.listener
        if listener is not None:
            unheard = prepare

            def prepare() -> Images | None:
                asked.append(unheard())
                return asked[0]

        try:
            turn = await self.turns.predict(prepare, caller, waiting)
        except DomainError:  # the caller's fault, or nobody's
            raise
        except Exception as error:
            self.failures += not again
            if self.on_failure is not None:
                self.on_failure(self, error)
            raise
        if turn is not None:
            self.failures = 0
            self.images += len(turn.answer.probabilities)
            if listener is not None and asked and asked[0] is not None:
                listener(asked[0], turn.answer)
        return turn


class State(Enum):
    """What a version is fit for."""

    LOADING = "being read, checked and warmed"
    READY = "answers, if it is asked"
    REFUSED = "kept out, with a reason"


@dataclass(slots=True)
class Entry:
    """A version that the server knows.

    Attributes:
        number: its number.
        state: what it is fit for.
        version: what answers; None unless READY.
        reason: why it is REFUSED.
        broken: whether it is so because its network broke at work.
    """

    number: int
    state: State
    version: Version | None = None
    reason: str = ""
    broken: bool = False
