"""Ask a digitserve server what the digits are.  Needs neither NumPy nor TensorFlow.

with DigitClient("127.0.0.1:50051") as client:
    print(client.predict(image).digit)                  # one image
    for outcome in client.stream(camera_frames): ...    # an endless stream
    with client.pipeline() as pipeline: ...             # many calls at once, on one stream
    client.models.promote(2)                            # which version answers
"""

from digitserve.client._access import Tls
from digitserve.client._aio import AsyncDigitClient
from digitserve.client._models import AsyncModels, Models
from digitserve.client._pipeline import AsyncPipeline, Pipeline
from digitserve.client._stream import AsyncStream, Stream
from digitserve.client._sync import DigitClient
from digitserve.client.errors import (
    Aborted,
    CallError,
    DeadlineExceeded,
    DigitServeError,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    InvalidImage,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StreamEnded,
    TokenError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from digitserve.client.types import (
    Delivery,
    Failed,
    Frame,
    Health,
    ModelState,
    ModelVersion,
    Outcome,
    Predicted,
    Prediction,
    Shadow,
    Skipped,
    SkipReason,
)

__all__ = [
    "Aborted",
    "AsyncDigitClient",
    "AsyncModels",
    "AsyncPipeline",
    "AsyncStream",
    "CallError",
    "DeadlineExceeded",
    "Delivery",
    "DigitClient",
    "DigitServeError",
    "Failed",
    "FailedPrecondition",
    "FieldViolation",
    "Frame",
    "Health",
    "Internal",
    "InvalidArgument",
    "InvalidImage",
    "ModelState",
    "ModelVersion",
    "Models",
    "NotFound",
    "Outcome",
    "PermissionDenied",
    "Pipeline",
    "Predicted",
    "Prediction",
    "ResourceExhausted",
    "Shadow",
    "SkipReason",
    "Skipped",
    "Stream",
    "StreamEnded",
    "Tls",
    "TokenError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
]
