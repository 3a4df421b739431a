"""As which status a caller sees an error: one table.

What nobody foresaw says nothing but an id that the log has too.
"""

import logging
import math
import os
from collections.abc import Callable
from typing import TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from google.rpc import error_details_pb2 as details

from digitserve.server.errors import (
    BadField,
    BadForeignField,
    CompressionUnknown,
    ControlOff,
    CredentialExpired,
    CredentialMissing,
    CredentialWrong,
    DeadlinePassed,
    DomainError,
    Draining,
    ForeignUnsupported,
    MessageTooLong,
    MetadataTooLong,
    MethodUnknown,
    NoModelReady,
    NothingBefore,
    PromotionLost,
    QueueFull,
    RateExceeded,
    ScopeMissing,
    StreamsExceeded,
    UnknownForeignModel,
    UnknownModel,
    UnknownService,
    UnknownSignature,
    VersionInUse,
    VersionLoading,
    VersionRefused,
)
from digitserve.server.texts import abridged

DOMAIN = "digitserve"

_log = logging.getLogger(__name__)

# Bytes of an error's text.  Names are cut where errors are made; this is for what was overlooked.
_MOST = 1024


def _said(error: DomainError) -> str:
    return abridged(str(error), _MOST)


def _bad_request(error: BadField) -> Message:
    violation = details.BadRequest.FieldViolation(
        field=abridged(error.field),
        description=abridged(error.description, _MOST),
        reason=error.reason,
    )
    request: Message = details.BadRequest(field_violations=[violation])
    return request


def _resource(error: UnknownModel) -> Message:
    info: Message = details.ResourceInfo(
        resource_type=f"digitserve.model.{error.kind}",
        resource_name=abridged(error.name),
        description=_said(error),
    )
    return info


def _precondition(error: DomainError) -> Message:
    violation = details.PreconditionFailure.Violation(
        type=error.reason, subject="digitserve.model.version", description=_said(error)
    )
    failure: Message = details.PreconditionFailure(violations=[violation])
    return failure


def retry_after_ms(error: DomainError) -> int:
    """Rounded up: who waits as long as he is told is not to be refused again."""
    return math.ceil(error.retry_after_s * 1000)


def _retry(error: DomainError) -> Message:
    delay = Duration()
    delay.FromMilliseconds(retry_after_ms(error))
    info: Message = details.RetryInfo(retry_delay=delay)
    return info


def _quota(error: RateExceeded | StreamsExceeded) -> Message:
    violation = details.QuotaFailure.Violation(
        subject=abridged(error.caller), description=_said(error)
    )
    failure: Message = details.QuotaFailure(violations=[violation])
    return failure


# The status code, and what makes each of the details beside ErrorInfo.
_Row: TypeAlias = tuple[int, *tuple[Callable[..., Message] | None, ...]]

_TABLE: dict[type[DomainError], _Row] = {
    BadField: (code_pb2.INVALID_ARGUMENT, _bad_request),
    UnknownModel: (code_pb2.NOT_FOUND, _resource),
    BadForeignField: (code_pb2.INVALID_ARGUMENT, _bad_request),
    UnknownForeignModel: (code_pb2.NOT_FOUND, _resource),
    ForeignUnsupported: (code_pb2.UNIMPLEMENTED, None),
    UnknownService: (code_pb2.NOT_FOUND, None),
    MethodUnknown: (code_pb2.UNIMPLEMENTED, None),
    CompressionUnknown: (code_pb2.UNIMPLEMENTED, None),
    MessageTooLong: (code_pb2.RESOURCE_EXHAUSTED, None),
    MetadataTooLong: (code_pb2.RESOURCE_EXHAUSTED, None),
    NoModelReady: (code_pb2.UNAVAILABLE, _retry),
    VersionLoading: (code_pb2.UNAVAILABLE, _retry),
    VersionRefused: (code_pb2.FAILED_PRECONDITION, _precondition),
    UnknownSignature: (code_pb2.FAILED_PRECONDITION, None),
    VersionInUse: (code_pb2.FAILED_PRECONDITION, _precondition),
    NothingBefore: (code_pb2.FAILED_PRECONDITION, _precondition),
    PromotionLost: (code_pb2.ABORTED, None),
    ControlOff: (code_pb2.PERMISSION_DENIED, None),
    Draining: (code_pb2.UNAVAILABLE, _retry),
    QueueFull: (code_pb2.RESOURCE_EXHAUSTED, _retry),
    DeadlinePassed: (code_pb2.DEADLINE_EXCEEDED, None),
    CredentialMissing: (code_pb2.UNAUTHENTICATED, None),
    CredentialWrong: (code_pb2.UNAUTHENTICATED, None),
    CredentialExpired: (code_pb2.UNAUTHENTICATED, None),
    ScopeMissing: (code_pb2.PERMISSION_DENIED, None),
    RateExceeded: (code_pb2.RESOURCE_EXHAUSTED, _retry, _quota),
    StreamsExceeded: (code_pb2.RESOURCE_EXHAUSTED, _quota),
}


def status_of(error: BaseException) -> status_pb2.Status:
    """Says `error` as a `google.rpc.Status`, for a call and for a frame alike."""
    error = first_cause(error)
    if not isinstance(error, DomainError):
        return _unforeseen(error)
    code, *makers = _TABLE[type(error)]
    status = status_pb2.Status(code=code, message=_said(error))
    status.details.add().Pack(details.ErrorInfo(reason=error.reason, domain=DOMAIN))
    for make in makers:
        if make is not None:
            status.details.add().Pack(make(error))
    return status


def code_of(error: BaseException) -> str:
    """The name of the status code that a caller sees of `error`; the log is told nothing."""
    error = first_cause(error)
    if not isinstance(error, DomainError):
        return "INTERNAL"
    name: str = code_pb2.Code.Name(_TABLE[type(error)][0])
    return name


def reason_of(error: BaseException) -> str:
    """The stable reason that goes with it."""
    error = first_cause(error)
    return error.reason if isinstance(error, DomainError) else "INTERNAL"


def first_cause(error: BaseException) -> BaseException:
    """Looks into a group, which is what a task group makes of what its tasks raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _unforeseen(error: BaseException) -> status_pb2.Status:
    """Tells the log everything and the caller nothing but where to find it."""
    number = os.urandom(4).hex()
    _log.error("internal error %s", number, exc_info=error)
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=f"internal error {number}")
    info = details.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"id": number})
    status.details.add().Pack(info)
    return status
