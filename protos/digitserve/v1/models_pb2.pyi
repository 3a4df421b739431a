from digitserve.v1 import digits_pb2 as _digits_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLimitsResponse(_message.Message):
    __slots__ = ("max_images", "max_message_bytes", "encodings", "deliveries", "max_in_flight_frames", "max_in_flight_images", "max_frame_id_bytes")
    MAX_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_ID_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_images: int
    max_message_bytes: int
    encodings: _containers.RepeatedScalarFieldContainer[_digits_pb2.PixelEncoding]
    deliveries: _containers.RepeatedScalarFieldContainer[_digits_pb2.Delivery]
    max_in_flight_frames: int
    max_in_flight_images: int
    max_frame_id_bytes: int
    def __init__(self, max_images: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., encodings: _Optional[_Iterable[_Union[_digits_pb2.PixelEncoding, str]]] = ..., deliveries: _Optional[_Iterable[_Union[_digits_pb2.Delivery, str]]] = ..., max_in_flight_frames: _Optional[int] = ..., max_in_flight_images: _Optional[int] = ..., max_frame_id_bytes: _Optional[int] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "state", "labels", "accuracy", "description", "reason", "engine", "gate_accuracy", "image_us", "rejection_threshold", "images", "shadow")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[ModelVersion.State]
        STATE_LOADING: _ClassVar[ModelVersion.State]
        STATE_READY: _ClassVar[ModelVersion.State]
        STATE_REFUSED: _ClassVar[ModelVersion.State]
        STATE_UNLOADING: _ClassVar[ModelVersion.State]
    STATE_UNSPECIFIED: ModelVersion.State
    STATE_LOADING: ModelVersion.State
    STATE_READY: ModelVersion.State
    STATE_REFUSED: ModelVersion.State
    STATE_UNLOADING: ModelVersion.State
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    GATE_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_US_FIELD_NUMBER: _ClassVar[int]
    REJECTION_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    version: int
    state: ModelVersion.State
    labels: _containers.RepeatedScalarFieldContainer[str]
    accuracy: float
    description: str
    reason: str
    engine: str
    gate_accuracy: float
    image_us: float
    rejection_threshold: float
    images: int
    shadow: Shadow
    def __init__(self, version: _Optional[int] = ..., state: _Optional[_Union[ModelVersion.State, str]] = ..., labels: _Optional[_Iterable[str]] = ..., accuracy: _Optional[float] = ..., description: _Optional[str] = ..., reason: _Optional[str] = ..., engine: _Optional[str] = ..., gate_accuracy: _Optional[float] = ..., image_us: _Optional[float] = ..., rejection_threshold: _Optional[float] = ..., images: _Optional[int] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("images", "agreed")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    images: int
    agreed: int
    def __init__(self, images: _Optional[int] = ..., agreed: _Optional[int] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class LoadVersionRequest(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class LoadVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class PromoteVersionRequest(_message.Message):
    __slots__ = ("version", "expected_stable")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_STABLE_FIELD_NUMBER: _ClassVar[int]
    version: int
    expected_stable: int
    def __init__(self, version: _Optional[int] = ..., expected_stable: _Optional[int] = ...) -> None: ...

class PromoteVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class RollBackVersionRequest(_message.Message):
    __slots__ = ("expected_stable",)
    EXPECTED_STABLE_FIELD_NUMBER: _ClassVar[int]
    expected_stable: int
    def __init__(self, expected_stable: _Optional[int] = ...) -> None: ...

class RollBackVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class UnloadVersionRequest(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class UnloadVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetLabelRequest(_message.Message):
    __slots__ = ("label", "version")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    label: str
    version: int
    def __init__(self, label: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class SetLabelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
