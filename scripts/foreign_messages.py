"""Whether messages that are written down here are what their own packages have.

Runs where those packages are, without digitserve: protobuf is all that it needs.
"""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool


def differences(descriptor_set: Path, packages: tuple[str, ...], pool: DescriptorPool) -> list[str]:
    """What is otherwise than in `pool`: a line each.

    Args:
        descriptor_set: the messages that are written down.
        packages: which of them to look at; others are skipped.
        pool: where the real ones are.
    """
    told: list[str] = []
    for file in FileDescriptorSet.FromString(descriptor_set.read_bytes()).file:
        if file.package in packages:
            for message in file.message_type:
                told += _message(f"{file.package}.{message.name}", message, pool)
            for enum in file.enum_type:
                told += _enum(f"{file.package}.{enum.name}", enum, pool)
    return told


def _message(name: str, message: DescriptorProto, pool: DescriptorPool) -> Iterator[str]:
    try:
        descriptor = pool.FindMessageTypeByName(name)
    except KeyError:
        yield f"{name}: not there"
        return
    real = DescriptorProto()
    descriptor.CopyToProto(real)
    fields = {field.number: _told(field, real) for field in real.field}
    for field in message.field:
        told, wanted = _told(field, message), fields.get(field.number)
        if told != wanted:
            yield f"{name}: {told}, not {wanted}"
    for nested in message.nested_type:
        yield from _message(f"{name}.{nested.name}", nested, pool)
    for enum in message.enum_type:
        yield from _enum(f"{name}.{enum.name}", enum, pool)


def _told(field: FieldDescriptorProto, message: DescriptorProto) -> tuple[object, ...]:
    """What callers see of a field, on the wire and in code."""
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    return field.name, field.number, field.type, field.label, field.type_name, oneof


def _enum(name: str, enum: EnumDescriptorProto, pool: DescriptorPool) -> Iterator[str]:
    try:
        real = pool.FindEnumTypeByName(name).values_by_number
    except KeyError:
        yield f"{name}: not there"
        return
    for value in enum.value:
        if value.number not in real or real[value.number].name != value.name:
            yield f"{name}: {value.name} is not {value.number}"
