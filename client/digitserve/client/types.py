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
