"""What can go wrong, and how it is said; as which status a caller sees it is in `statuses.py`.

A new error is a class, a row there, a line in `docs/protocol.md` and a test case.  Messages say
whose fault it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

RETRY_AFTER_S = 1


class DomainError(Exception):
    """The root of all that the server refuses on purpose.

    Attributes:
        reason: stable and documented.
        retry_after_s: seconds after which it may go better, where that is told.
    """

    reason: str
    retry_after_s: float = RETRY_AFTER_S


@dataclass
class BadField(DomainError):
    """A field of the caller's message is wrong."""

    field: str
    reason: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


@dataclass
class UnknownModel(DomainError):
    """No such version or label."""

    kind: str
    name: str
    known: Iterable[object]

    @property
    def reason(self) -> str:  # type: ignore[override]  # follows from the kind
        """VERSION_UNKNOWN or LABEL_UNKNOWN."""
        return f"{self.kind.upper()}_UNKNOWN"

    def __str__(self) -> str:
        there = ", ".join(map(str, self.known)) or "none"
        return f"no {self.kind} {self.name!r} here; there is: {there}"


@dataclass
class BadForeignField(BadField):
    """The same of a field of another protocol's message, in that protocol's own words."""

    def __str__(self) -> str:
        return self.description


@dataclass
class UnknownForeignModel(UnknownModel):
    """No such model, in another protocol's own words."""

    words: str

    def __str__(self) -> str:
        return self.words


@dataclass
class ForeignUnsupported(DomainError):
    """Another protocol has this, and it is not served here."""

    words: str
    reason = "NOT_SUPPORTED"

    def __str__(self) -> str:
        return self.words


@dataclass
class UnknownService(DomainError):
    """No such service."""

    name: str
    reason = "SERVICE_UNKNOWN"

    def __str__(self) -> str:
        return f"no service {self.name!r} here"


@dataclass
class MethodUnknown(DomainError):
    """No such method."""

    path: str
    reason = "METHOD_UNKNOWN"

    def __str__(self) -> str:
        return f"no method {self.path!r} here"


@dataclass
class CompressionUnknown(DomainError):
    """Messages are compressed in a way that nobody here can read."""

    encoding: str
    reason = "COMPRESSION_UNKNOWN"

    def __str__(self) -> str:
        return f"grpc-encoding: expected identity, deflate or gzip, got {self.encoding!r}"


@dataclass
class MessageTooLong(DomainError):
    """A message is longer than is taken."""

    why: str
    reason = "MESSAGE_TOO_LONG"

    def __str__(self) -> str:
        return f"message: {self.why}"


@dataclass
class MetadataTooLong(DomainError):
    """A call's metadata is longer than is taken."""

    most: int
    reason = "METADATA_TOO_LONG"

    def __str__(self) -> str:
        return f"metadata: expected at most {self.most} bytes"


class NoModelReady(DomainError):
    """The model is still being loaded."""

    reason = "NO_MODEL_READY"

    def __str__(self) -> str:
        return "no model is ready yet"


@dataclass
class VersionLoading(DomainError):
    """The version is being loaded."""

    number: int
    reason = "VERSION_LOADING"

    def __str__(self) -> str:
        return f"version {self.number} is being loaded"


@dataclass
class VersionRefused(DomainError):
    """The version's gates refused it."""

    number: int
    why: str
    reason = "VERSION_REFUSED"

    def __str__(self) -> str:
        return f"version {self.number} was refused: {self.why}"


@dataclass
class UnknownSignature(DomainError):
    """The model has no such signature, in TensorFlow Serving's words."""

    name: str
    reason = "SIGNATURE_UNKNOWN"

    def __str__(self) -> str:
        return f'Serving signature key "{self.name}" not found.'


@dataclass
class VersionInUse(DomainError):
    """The version bears a label, and cannot be unloaded."""

    number: int
    labels: Iterable[str]
    reason = "VERSION_IN_USE"

    def __str__(self) -> str:
        return f"version {self.number} bears the label {', '.join(self.labels)}"


class NothingBefore(DomainError):
    """There is no version to roll back to."""

    reason = "NOTHING_BEFORE"

    def __str__(self) -> str:
        return "no version that was stable before is still loaded"


@dataclass
class PromotionLost(DomainError):
    """Another version is stable than the caller believed."""

    expected: int
    stable: int | None
    reason = "PROMOTION_LOST"

    def __str__(self) -> str:
        return f"expected version {self.expected} to be stable, it is {self.stable}"


class ControlOff(DomainError):
    """The server was not started with the right to change versions."""

    reason = "MODEL_CONTROL_OFF"

    def __str__(self) -> str:
        return (
            "this server lets no caller change its versions; it was started without --model-control"
        )


class Draining(DomainError):
    """The server, or the stream, takes nothing new."""

    reason = "DRAINING"

    def __str__(self) -> str:
        return "draining: nothing new is accepted here; try another address, or again later"


@dataclass
class QueueFull(DomainError):
    """Too many images are in already, or it would wait too long; nothing was accepted."""

    why: str
    retry_after_s: float
    reason = "QUEUE_FULL"

    def __str__(self) -> str:
        return f"{self.why}; try again in {self.retry_after_s:.2f} s"


class DeadlinePassed(DomainError):
    """The time was up before the turn came; nothing was computed."""

    reason = "DEADLINE_PASSED"

    def __str__(self) -> str:
        return "the deadline passed while this waited for its turn; it was not computed"


class CredentialMissing(DomainError):
    """Nothing tells who calls."""

    reason = "CREDENTIAL_MISSING"

    def __str__(self) -> str:
        return "expected a credential (metadata `authorization: Bearer TOKEN`), got none"


class CredentialWrong(DomainError):
    """No credential of ours.  Why, or whether half of it is right, nobody is told."""

    reason = "CREDENTIAL_WRONG"

    def __str__(self) -> str:
        return "the credential is not one that this server takes"


class CredentialExpired(DomainError):
    """The credential was right until now."""

    reason = "CREDENTIAL_EXPIRED"

    def __str__(self) -> str:
        return "the credential has expired, or was revoked; come back with a new one"


@dataclass
class ScopeMissing(DomainError):
    """The credential does not allow this."""

    scope: str
    reason = "SCOPE_MISSING"

    def __str__(self) -> str:
        return f"this takes a credential with the scope '{self.scope}'"


@dataclass
class RateExceeded(DomainError):
    """More images a second than this caller may have; nothing was computed."""

    caller: str
    images_per_second: float
    retry_after_s: float
    reason = "RATE_EXCEEDED"

    def __str__(self) -> str:
        return (
            f"{self.caller!r} may have {self.images_per_second:g} images a second computed; "
            f"these fit in {self.retry_after_s:.3f} s"
        )


@dataclass
class StreamsExceeded(DomainError):
    """More streams at once than this caller may have."""

    caller: str
    most: int
    reason = "STREAMS_EXCEEDED"

    def __str__(self) -> str:
        return f"{self.caller!r} has {self.most} streams open, as many as it may have"
