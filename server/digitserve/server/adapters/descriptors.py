"""Messages that are not ours, in a pool of their own.

In the pool that all of a process shares they would be defined twice as soon as somebody imports
TensorFlow, or Triton's client.  They are read from a set of descriptors when the first call comes:
who is never called that way does not wait for it.
"""

from functools import cache
from importlib.resources import files
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from digitserve.server.services import parsed, unread


class Protocol:
    """The messages of one protocol.

    Attributes:
        package: the prefix of their full names.
    """

    def __init__(self, adapter: str, package: str) -> None:
        """Those in `descriptors.binpb` of an adapter's package."""
        self.package = package
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        """The class of a message, by its name in the package."""
        if name.startswith("_"):
            raise AttributeError(name)
        made = message_factory.GetMessageClass(
            self.pool().FindMessageTypeByName(f"{self.package}.{name}")
        )
        setattr(self, name, made)
        return made

    def pool(self) -> descriptor_pool.DescriptorPool:
        """Where they are described."""
        return _pool(self._adapter)

    def unread(self, name: str) -> type[Message]:
        """Stands for a type of request; its handler is given the bytes."""
        return unread(cast("type[Message]", type(name, (), {})))

    def parsed(self, data: bytes, name: str) -> Any:
        """The request in these bytes.

        Raises:
            BadField: if it is none.
        """
        return parsed(data, getattr(self, name))


@cache
def _pool(adapter: str) -> descriptor_pool.DescriptorPool:
    told = (files(adapter) / "descriptors.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(told).file:
        pool.Add(file)
    return pool
