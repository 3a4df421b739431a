"""What can go wrong, as exceptions.

    DigitServeError
    ├── InvalidImage (ValueError)     not 28x28 pixels of a known kind; nothing was sent
    ├── TokenError (ValueError)       no token, or it would travel in plain text; nothing was sent
    ├── StreamEnded                   a stream ended before every frame had its outcome
    └── CallError                     the server, or the way to it, said no; `code` says how
        ├── InvalidArgument           what was sent is wrong; `violations` name the fields
        ├── NotFound                  no such version or label
        ├── FailedPrecondition        not as that version is: refused by its gates, or bears a label
        ├── ResourceExhausted         too much at once; see `retry_after`
        ├── Unavailable               no server there, draining, or not ready; see `retry_after`
        ├── DeadlineExceeded          the time was up
        ├── Aborted                   another change came first
        ├── Unauthenticated           no credential, or a bad one
        ├── PermissionDenied          the credential does not carry this right
        ├── Unimplemented             in the contract, not served by this server
        └── Internal                  the server's fault; its log knows `message`'s id

`CallError.from_status` makes them from a `google.rpc.Status`, for a call and for a frame alike.
"""

from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "digitserve"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that was wrong.

    Attributes:
        field: its name, such as `pixels`.
        description: what was expected, what came, and the likely cause.
    """

    field: str
    description: str


class DigitServeError(Exception):
    """The root of all that this package raises on purpose."""


class InvalidImage(DigitServeError, ValueError):
    """What was given is not 28x28 pixels of a known kind; nothing was sent."""


class TokenError(DigitServeError, ValueError):
    """What was given is no token, or would travel in plain text; nothing was sent."""


class CallError(DigitServeError):
    """The server, or the way to it, said no.

    Attributes:
        code: the gRPC status code.
        message: what the server said.
        reason: stable, in UPPER_SNAKE_CASE, such as `PIXELS_LENGTH`; empty where gRPC itself
            refused.
        violations: the fields that were wrong.
        retry_after: seconds after which to try again, if the server said so.
    """

    _of_code: ClassVar[dict[grpc.StatusCode, type["CallError"]]] = {}

    def __init_subclass__(cls, *, code: grpc.StatusCode) -> None:
        """Registers the class as the one for `code`."""
        cls._of_code[code] = cls

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @classmethod
    def from_status(cls, status: status_pb2.Status) -> "CallError":
        """Makes the error of a `google.rpc.Status`, of a call or of a frame."""
        code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
        info, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        retry_after = None
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(bad)
            if detail.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        return cls._of_code.get(code, CallError)(
            code,
            status.message,
            reason=info.reason if info.domain == DOMAIN else "",
            violations=tuple(
                FieldViolation(each.field, each.description) for each in bad.field_violations
            ),
            retry_after=retry_after,
        )

    @classmethod
    def from_rpc_error(cls, error: grpc.RpcError) -> "CallError":
        """Makes the error of a call that gRPC ended, sync or async."""
        if error.code() is grpc.StatusCode.INTERNAL and "execute_batch" in str(error):
            # What grpc.aio says, not in its details, of a write that failed: the reason stayed with
            # the connection.
            return Unavailable(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        if error.code() is grpc.StatusCode.CANCELLED and "RST_STREAM" in (error.details() or ""):
            # Nobody here cancelled: a proxy lost the server behind it.
            return Unavailable(grpc.StatusCode.UNAVAILABLE, "the server broke off")
        try:
            status = rpc_status.from_call(error)
        except ValueError:  # details that contradict the code: not from this server
            status = None
        if status is None:
            status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
        return cls.from_status(status)


def unless_expired(cause: CallError | None) -> CallError | None:
    """The cause of a stream's end; None where it was under way, and its credential expired.

    Then a new call shows a new credential: there is nothing to complain of yet.
    """
    expired = isinstance(cause, Unauthenticated) and cause.reason == "CREDENTIAL_EXPIRED"
    return None if expired else cause


class StreamEnded(DigitServeError):
    """A stream ended before every frame had its outcome.

    Attributes:
        cause: why, as a call would have said it; None if the server ended it without an error.
        unanswered: the frames that were sent and have no outcome: their indices, from 0.
    """

    def __init__(self, cause: CallError | None, unanswered: tuple[int, ...]) -> None:
        why = cause or "the server gave no reason"
        super().__init__(f"the stream ended with {len(unanswered)} frames unanswered: {why}")
        self.cause = cause
        self.unanswered = unanswered


class InvalidArgument(CallError, code=grpc.StatusCode.INVALID_ARGUMENT):
    """What was sent is wrong; `violations` name the fields."""


class NotFound(CallError, code=grpc.StatusCode.NOT_FOUND):
    """No such version or label."""


class FailedPrecondition(CallError, code=grpc.StatusCode.FAILED_PRECONDITION):
    """Not as that version is: its gates refused it, it bears a label, or none was before it."""


class ResourceExhausted(CallError, code=grpc.StatusCode.RESOURCE_EXHAUSTED):
    """Too much at once; see `retry_after`."""


class Unavailable(CallError, code=grpc.StatusCode.UNAVAILABLE):
    """No server there, draining, or not ready; see `retry_after`."""


class DeadlineExceeded(CallError, code=grpc.StatusCode.DEADLINE_EXCEEDED):
    """The time was up."""


class Aborted(CallError, code=grpc.StatusCode.ABORTED):
    """Another change came first."""


class Unauthenticated(CallError, code=grpc.StatusCode.UNAUTHENTICATED):
    """No credential, or a bad one."""


class PermissionDenied(CallError, code=grpc.StatusCode.PERMISSION_DENIED):
    """The credential does not carry this right."""


class Unimplemented(CallError, code=grpc.StatusCode.UNIMPLEMENTED):
    """In the contract, not served by this server."""


class Internal(CallError, code=grpc.StatusCode.INTERNAL):
    """The server's fault; its log knows the id in `message`."""
