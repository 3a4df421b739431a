import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelManifest(_message.Message):
    __slots__ = ("format", "description", "files", "input", "output", "training", "evaluation", "golden_answers", "calibration")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    format: int
    description: str
    files: _containers.RepeatedCompositeFieldContainer[ModelFile]
    input: TensorSpec
    output: TensorSpec
    training: Training
    evaluation: Evaluation
    golden_answers: _containers.RepeatedCompositeFieldContainer[GoldenAnswer]
    calibration: Calibration
    def __init__(self, format: _Optional[int] = ..., description: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ModelFile, _Mapping]]] = ..., input: _Optional[_Union[TensorSpec, _Mapping]] = ..., output: _Optional[_Union[TensorSpec, _Mapping]] = ..., training: _Optional[_Union[Training, _Mapping]] = ..., evaluation: _Optional[_Union[Evaluation, _Mapping]] = ..., golden_answers: _Optional[_Iterable[_Union[GoldenAnswer, _Mapping]]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ...) -> None: ...

class ModelFile(_message.Message):
    __slots__ = ("name", "role", "size", "sha256")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[ModelFile.Role]
        ROLE_KERAS: _ClassVar[ModelFile.Role]
        ROLE_COMPILED: _ClassVar[ModelFile.Role]
    ROLE_UNSPECIFIED: ModelFile.Role
    ROLE_KERAS: ModelFile.Role
    ROLE_COMPILED: ModelFile.Role
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: ModelFile.Role
    size: int
    sha256: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[ModelFile.Role, str]] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("shape", "dtype")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ...) -> None: ...

class Training(_message.Message):
    __slots__ = ("recipe", "seed", "epochs", "images", "dataset", "finished", "seconds", "packages", "held_out")
    class PackagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    HELD_OUT_FIELD_NUMBER: _ClassVar[int]
    recipe: str
    seed: int
    epochs: int
    images: int
    dataset: str
    finished: _timestamp_pb2.Timestamp
    seconds: float
    packages: _containers.ScalarMap[str, str]
    held_out: int
    def __init__(self, recipe: _Optional[str] = ..., seed: _Optional[int] = ..., epochs: _Optional[int] = ..., images: _Optional[int] = ..., dataset: _Optional[str] = ..., finished: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seconds: _Optional[float] = ..., packages: _Optional[_Mapping[str, str]] = ..., held_out: _Optional[int] = ...) -> None: ...

class Evaluation(_message.Message):
    __slots__ = ("dataset", "images", "accuracy", "loss", "calibration_error", "false_rejection", "rejected", "changed")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    FALSE_REJECTION_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    images: int
    accuracy: float
    loss: float
    calibration_error: float
    false_rejection: float
    rejected: _containers.RepeatedCompositeFieldContainer[Share]
    changed: _containers.RepeatedCompositeFieldContainer[Share]
    def __init__(self, dataset: _Optional[str] = ..., images: _Optional[int] = ..., accuracy: _Optional[float] = ..., loss: _Optional[float] = ..., calibration_error: _Optional[float] = ..., false_rejection: _Optional[float] = ..., rejected: _Optional[_Iterable[_Union[Share, _Mapping]]] = ..., changed: _Optional[_Iterable[_Union[Share, _Mapping]]] = ...) -> None: ...

class Share(_message.Message):
    __slots__ = ("name", "share", "images")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    images: int
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ..., images: _Optional[int] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("temperature", "rejection_temperature", "rejection_threshold", "false_rejection", "images")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    REJECTION_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    REJECTION_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    FALSE_REJECTION_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    rejection_temperature: float
    rejection_threshold: float
    false_rejection: float
    images: int
    def __init__(self, temperature: _Optional[float] = ..., rejection_temperature: _Optional[float] = ..., rejection_threshold: _Optional[float] = ..., false_rejection: _Optional[float] = ..., images: _Optional[int] = ...) -> None: ...

class GoldenAnswer(_message.Message):
    __slots__ = ("pixels", "label", "probabilities", "rejection")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    pixels: bytes
    label: int
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    rejection: float
    def __init__(self, pixels: _Optional[bytes] = ..., label: _Optional[int] = ..., probabilities: _Optional[_Iterable[float]] = ..., rejection: _Optional[float] = ...) -> None: ...
