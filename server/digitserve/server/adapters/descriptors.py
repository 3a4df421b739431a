"""The messages of a protocol that is not ours, apart from everybody else's.

TensorFlow and tritonclient bring descriptors of the same names, and protobuf's own pool takes a
name once: so each protocol has a pool of its own, filled from a descriptor set that is checked in.
It is read when the first message is needed; a server that nobody asks this way never reads it.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


class Protocol:
    """A protocol's messages.

    Attributes:
        package: what their full names begin with.
    """

    def __init__(self, descriptor_set: Path, package: str) -> None:
        """Reads nothing yet.

        Args:
            descriptor_set: its files, each after those that it imports.
            package: where the messages are that are asked for.
        """
        self._descriptor_set = descriptor_set
        self.package = package
        self.pool = cache(self._pool)
        self.message = cache(self._message)

    def request(self, name: str) -> type[Message]:
        """Stands for a type of requests until one comes: parses, and has the name."""

        def parsed(data: bytes) -> Message:
            message: Message = self.message(name).FromString(data)
            return message

        return cast("type[Message]", type(name, (), {"FromString": staticmethod(parsed)}))

    def _pool(self) -> DescriptorPool:
        """The pool, which holds all of them."""
        # With the first message: it takes longer to read than the rest of this.
        from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415

        pool = DescriptorPool()
        for file in FileDescriptorSet.FromString(self._descriptor_set.read_bytes()).file:
            pool.AddSerializedFile(file.SerializeToString())
        return pool

    def _message(self, name: str) -> Any:
        """The class of a message, by its name within the package; one within another: `A.B`."""
        return GetMessageClass(self.pool().FindMessageTypeByName(f"{self.package}.{name}"))
