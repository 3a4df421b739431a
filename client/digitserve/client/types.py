"""What the server says, as frozen values: no protobuf message leaves this package."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from digitserve.client.errors import CallError


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        digit: the most probable digit, 0 to 9.
        confidence: the probability of `digit`, 0 to 1.
        probabilities: of the digits 0 to 9; their sum is 1 within 1e-5.  Empty when brief.
        rejection: 0 = surely a digit, 1 = surely none.  None when brief.
        version: the model version that answered.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    rejection: float | None
    version: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame to send on a stream.

    Attributes:
        images: one image or a batch, in any form that `predict` or `predict_batch` takes.
        frame_id: your own name for it; echoed, never read; may repeat.
        age: seconds since it was captured.
        timeout: seconds that it may wait for its turn at the server; None: no bound.
    """

    images: object
    frame_id: str = ""
    age: float = 0.0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Predicted:
    """A frame that was classified.

    Attributes:
        sequence: its index among the frames that were sent, from 0.
        frame_id: as it was sent.
        predictions: one for each image of the frame.
        wait: seconds that it waited in the server before its turn.
        model: seconds that the model took for the batch that held it.
    """

    sequence: int
    frame_id: str
    predictions: tuple[Prediction, ...]
    wait: float
    model: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A frame that failed alone; the stream lives on.

    Attributes:
        sequence: its index among the frames that were sent, from 0.
        frame_id: as it was sent.
        error: what a unary call would have raised.
    """

    sequence: int
    frame_id: str
    error: CallError


class Delivery(Enum):
    """In which order outcomes come, and what happens to frames that wait.

    ORDERED: in the order of the frames.  UNORDERED: as they finish.  LATEST, for cameras: at most
    one frame waits; a newer one supersedes it, and it comes out as skipped.
    """

    ORDERED = 1
    UNORDERED = 2
    LATEST = 3


class SkipReason(Enum):
    """Why a frame was not computed although nothing was wrong with it."""

    SUPERSEDED = 1
    EXPIRED = 2


@dataclass(frozen=True, slots=True)
class Skipped:
    """A frame that was left out on purpose.

    Attributes:
        sequence: its index among the frames that were sent, from 0.
        frame_id: as it was sent.
        reason: why.
    """

    sequence: int
    frame_id: str
    reason: SkipReason


Outcome: TypeAlias = Predicted | Failed | Skipped


class Health(Enum):
    """What the server says of its readiness."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2


class ModelState(Enum):
    """What a server does with a version.

    UNKNOWN: something that this library does not know yet.  LOADING: being read, checked and
    warmed.  READY: answers.  REFUSED: kept out by its gates.  UNLOADING: answers what it began, and
    nothing new.
    """

    UNKNOWN = 0
    LOADING = 1
    READY = 2
    REFUSED = 3
    UNLOADING = 4


@dataclass(frozen=True, slots=True)
class Shadow:
    """How a version that is asked as well, and never answers, compares with those that do.

    Attributes:
        images: how many it was asked.
        agreed: for how many of them it said the digit that the caller was told.
    """

    images: int
    agreed: int

    @property
    def agreement(self) -> float | None:
        """The share of the images for which it agreed, 0 to 1; None while there are none."""
        return self.agreed / self.images if self.images else None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the model, as a server sees it.

    Attributes:
        version: its number, from 1.
        state: what the server does with it.
        labels: those that it bears, sorted; `stable` answers who names none.
        accuracy: the share of its test set that it reads right, 0 to 1; None if its manifest does
            not say.
        description: a sentence about it, from its manifest.
        reason: why it was refused; empty unless REFUSED.
        engine: what runs it, such as `litert`.
        gate_accuracy: the share of the server's gate set that it reads right, 0 to 1; None if it
            was not asked.
        image_time: seconds that the engine took for one image when it was loaded, in the median;
            None if that was not measured.
        rejection_threshold: the rejection from which an image counts as no digit, 0 to 1; None for
            a network that knows digits only.
        images: how many it has answered since it was loaded.
        shadow: what it said as a shadow; None if it never was one.
    """

    version: int
    state: ModelState
    labels: tuple[str, ...]
    accuracy: float | None
    description: str
    reason: str
    engine: str
    gate_accuracy: float | None
    image_time: float | None
    rejection_threshold: float | None
    images: int
    shadow: Shadow | None
