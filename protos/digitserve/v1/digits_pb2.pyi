import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PixelEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_ENCODING_UNSPECIFIED: _ClassVar[PixelEncoding]
    PIXEL_ENCODING_UINT8: _ClassVar[PixelEncoding]
    PIXEL_ENCODING_FLOAT32: _ClassVar[PixelEncoding]

class Detail(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DETAIL_UNSPECIFIED: _ClassVar[Detail]
    DETAIL_FULL: _ClassVar[Detail]
    DETAIL_BRIEF: _ClassVar[Detail]

class Delivery(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_UNSPECIFIED: _ClassVar[Delivery]
    DELIVERY_ORDERED: _ClassVar[Delivery]
    DELIVERY_UNORDERED: _ClassVar[Delivery]
    DELIVERY_LATEST: _ClassVar[Delivery]
PIXEL_ENCODING_UNSPECIFIED: PixelEncoding
PIXEL_ENCODING_UINT8: PixelEncoding
PIXEL_ENCODING_FLOAT32: PixelEncoding
DETAIL_UNSPECIFIED: Detail
DETAIL_FULL: Detail
DETAIL_BRIEF: Detail
DELIVERY_UNSPECIFIED: Delivery
DELIVERY_ORDERED: Delivery
DELIVERY_UNORDERED: Delivery
DELIVERY_LATEST: Delivery

class PredictRequest(_message.Message):
    __slots__ = ("pixels", "count", "encoding", "detail", "version", "label")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    pixels: bytes
    count: int
    encoding: PixelEncoding
    detail: Detail
    version: int
    label: str
    def __init__(self, pixels: _Optional[bytes] = ..., count: _Optional[int] = ..., encoding: _Optional[_Union[PixelEncoding, str]] = ..., detail: _Optional[_Union[Detail, str]] = ..., version: _Optional[int] = ..., label: _Optional[str] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("predictions", "model_version")
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    model_version: int
    def __init__(self, predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ..., model_version: _Optional[int] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("digit", "confidence", "probabilities", "rejection")
    DIGIT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    digit: int
    confidence: float
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    rejection: float
    def __init__(self, digit: _Optional[int] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Iterable[float]] = ..., rejection: _Optional[float] = ...) -> None: ...

class StreamPredictRequest(_message.Message):
    __slots__ = ("options", "frame")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    options: StreamOptions
    frame: Frame
    def __init__(self, options: _Optional[_Union[StreamOptions, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class StreamOptions(_message.Message):
    __slots__ = ("encoding", "detail", "version", "label", "delivery", "max_in_flight_frames", "max_in_flight_images", "max_age")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    encoding: PixelEncoding
    detail: Detail
    version: int
    label: str
    delivery: Delivery
    max_in_flight_frames: int
    max_in_flight_images: int
    max_age: _duration_pb2.Duration
    def __init__(self, encoding: _Optional[_Union[PixelEncoding, str]] = ..., detail: _Optional[_Union[Detail, str]] = ..., version: _Optional[int] = ..., label: _Optional[str] = ..., delivery: _Optional[_Union[Delivery, str]] = ..., max_in_flight_frames: _Optional[int] = ..., max_in_flight_images: _Optional[int] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("frame_id", "pixels", "count", "age_us", "timeout_us")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AGE_US_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    frame_id: str
    pixels: bytes
    count: int
    age_us: int
    timeout_us: int
    def __init__(self, frame_id: _Optional[str] = ..., pixels: _Optional[bytes] = ..., count: _Optional[int] = ..., age_us: _Optional[int] = ..., timeout_us: _Optional[int] = ...) -> None: ...

class StreamPredictResponse(_message.Message):
    __slots__ = ("sequence", "frame_id", "predicted", "failed", "skipped", "notice", "wait_us", "model_us")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    WAIT_US_FIELD_NUMBER: _ClassVar[int]
    MODEL_US_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    frame_id: str
    predicted: PredictResponse
    failed: _status_pb2.Status
    skipped: Skip
    notice: Notice
    wait_us: int
    model_us: int
    def __init__(self, sequence: _Optional[int] = ..., frame_id: _Optional[str] = ..., predicted: _Optional[_Union[PredictResponse, _Mapping]] = ..., failed: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., skipped: _Optional[_Union[Skip, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., wait_us: _Optional[int] = ..., model_us: _Optional[int] = ...) -> None: ...

class Skip(_message.Message):
    __slots__ = ("reason",)
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Skip.Reason]
        REASON_SUPERSEDED: _ClassVar[Skip.Reason]
        REASON_EXPIRED: _ClassVar[Skip.Reason]
    REASON_UNSPECIFIED: Skip.Reason
    REASON_SUPERSEDED: Skip.Reason
    REASON_EXPIRED: Skip.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: Skip.Reason
    def __init__(self, reason: _Optional[_Union[Skip.Reason, str]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("reason", "accepted", "grace")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Notice.Reason]
        REASON_DRAINING: _ClassVar[Notice.Reason]
        REASON_STREAM_TOO_OLD: _ClassVar[Notice.Reason]
        REASON_CREDENTIAL_EXPIRING: _ClassVar[Notice.Reason]
    REASON_UNSPECIFIED: Notice.Reason
    REASON_DRAINING: Notice.Reason
    REASON_STREAM_TOO_OLD: Notice.Reason
    REASON_CREDENTIAL_EXPIRING: Notice.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    reason: Notice.Reason
    accepted: int
    grace: _duration_pb2.Duration
    def __init__(self, reason: _Optional[_Union[Notice.Reason, str]] = ..., accepted: _Optional[int] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
