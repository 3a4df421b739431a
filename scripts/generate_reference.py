"""Writes `docs/reference.md` (or the file that is named) from the comments in `protos/`.

Runs where the stubs are made: see `generate_stubs.py` and `make stubs`.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from generate_stubs import PROTOS, arguments

REFERENCE = PROTOS.parent / "docs" / "reference.md"
HEAD = """# Reference

Made from the comments in `protos/` by `make stubs`: change those. How it fits together is told in
[protocol](protocol.md).
"""

At: TypeAlias = tuple[int, ...]
# Where the parts of a file are, by the numbers that descriptor.proto gives them.
_MESSAGE, _ENUM, _SERVICE, _PART, _NESTED_MESSAGE, _NESTED_ENUM = 4, 5, 6, 2, 3, 4
_Field = descriptor_pb2.FieldDescriptorProto


def main(out: Path = REFERENCE) -> None:
    """Writes the page."""
    pages = [Page(file) for file in _described()]
    out.write_text("\n".join([HEAD, *(line for page in pages for line in page.lines())]), "utf-8")


def _described() -> list[descriptor_pb2.FileDescriptorProto]:
    """Our files, with their comments."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "protos.binpb"
        whole = ["--include_source_info", f"--descriptor_set_out={target}"]
        if status := protoc.main([*arguments(), *whole]):
            raise SystemExit(status)
        return list(descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file)


class Page:
    """One file's part of the page."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(each.path): " ".join(each.leading_comments.split())
            for each in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        """Services, then messages, then enums; in the order of the file."""
        file = self._file
        yield f"## {file.name}\n"
        for index, service in enumerate(file.service):
            yield from self._service(service, (_SERVICE, index))
        for index, message in enumerate(file.message_type):
            yield from self._message(message, (_MESSAGE, index), message.name)
        for index, enum in enumerate(file.enum_type):
            yield from self._enum(enum, (_ENUM, index), enum.name)

    def _service(self, service: descriptor_pb2.ServiceDescriptorProto, at: At) -> Iterator[str]:
        yield f"### {service.name}\n\n{self._comments[at]}\n"
        yield "| method | request | response | |\n| --- | --- | --- | --- |"
        for index, method in enumerate(service.method):
            asked = "stream of " * method.client_streaming + _link(method.input_type)
            given = "stream of " * method.server_streaming + _link(method.output_type)
            said = self._cell((*at, _PART, index))
            yield f"| `{method.name}` | {asked} | {given} | {said} |"
        yield ""

    def _message(self, message: descriptor_pb2.DescriptorProto, at: At, name: str) -> Iterator[str]:
        nested = [each for each in message.nested_type if not each.options.map_entry]
        yield f"### {name}\n\n{self._comments[at]}\n"
        if message.field:
            yield "| field | number | type | |\n| --- | --- | --- | --- |"
        for index, field in enumerate(message.field):
            said = self._cell((*at, _PART, index))
            yield f"| `{field.name}` | {field.number} | {_type(message, field)} | {said} |"
        if message.field:
            yield ""
        for index, each in enumerate(nested):
            yield from self._message(each, (*at, _NESTED_MESSAGE, index), f"{name}.{each.name}")
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*at, _NESTED_ENUM, index), f"{name}.{enum.name}")

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto, at: At, name: str) -> Iterator[str]:
        yield f"### {name}\n\n{self._comments[at]}\n"
        yield "| value | number | |\n| --- | --- | --- |"
        for index, value in enumerate(enum.value):
            yield f"| `{value.name}` | {value.number} | {self._cell((*at, _PART, index))} |"
        yield ""

    def _cell(self, at: At) -> str:
        return self._comments[at].replace("|", "\\|")


def _type(message: descriptor_pb2.DescriptorProto, field: _Field) -> str:
    name = (
        _link(field.type_name)
        if field.type_name
        else _Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    )
    maps = {each.name: each for each in message.nested_type if each.options.map_entry}
    if entry := maps.get(field.type_name.rsplit(".", 1)[-1]):
        key, value = (_type(entry, each) for each in entry.field)
        return f"map of {key} to {value}"
    if field.label == _Field.LABEL_REPEATED:
        return f"repeated {name}"
    if field.proto3_optional:
        return f"optional {name}"
    if field.HasField("oneof_index"):
        return f"{name}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return name


def _link(name: str) -> str:
    """A type's name; one of ours with a link to its place on the page."""
    short = name.removeprefix(".digitserve.v1.")
    if short == name:
        return f"`{name.removeprefix('.')}`"
    return f"[`{short}`](#{short.replace('.', '').lower()})"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
