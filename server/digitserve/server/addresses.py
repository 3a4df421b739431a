"""Where a server may listen, and the refusal to take an address that a living server holds.

gRPC alone would share a TCP port silently (SO_REUSEPORT), bind only those of a name's addresses
that are free, and steal a Unix socket from under another server.
"""

import errno
import os
import socket
from pathlib import Path

import grpc

_UNIX = "unix:"
_LAST_PORT = 65535


class AddressError(Exception):
    """An address that cannot be listened at; says which and why."""


def bind(server: grpc.aio.Server, address: str) -> str:
    """Binds `server` to `host:port` or `unix:PATH`.

    Returns:
        The address with the port that was taken.

    Raises:
        AddressError: if it is no address, or another server holds it.
    """
    if address.startswith(_UNIX):
        _clear_socket(Path(address.removeprefix(_UNIX)))
        _bind(server, address)
        return address
    host, taken = host_and_port(address)
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), taken, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise AddressError(f"{address}: {error}") from error
    for family, _, _, _, sockaddr in found:
        name = f"[{sockaddr[0]}]" if family == socket.AF_INET6 else str(sockaddr[0])
        taken = _bind(server, f"{name}:{taken}")
    return f"{host}:{taken}"


def host_and_port(address: str) -> tuple[str, int]:
    """Takes `host:port` apart.

    Raises:
        AddressError: if it is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise AddressError(f"{address}: expected host:port or unix:PATH")
    return host, int(port)


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        port: int = server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressError(f"{address} is taken, or not ours to take") from error
    return port


def _clear_socket(path: Path) -> None:
    """Removes what a dead server left; refuses what a living one holds."""
    if not path.is_socket():
        if path.exists():
            raise AddressError(f"{_UNIX}{path} is a file, not a socket")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        refused = probe.connect_ex(os.fspath(path)) == errno.ECONNREFUSED
    if not refused:
        raise AddressError(f"{_UNIX}{path} is taken by another server")
    path.unlink()
