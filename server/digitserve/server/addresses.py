"""Where a server may listen, and the refusal to take an address that a living server holds.

A Unix socket is not stolen from under another server, and of a name's addresses all are bound, or
none.
"""

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

_UNIX = "unix:"
_LAST_PORT = 65535


class AddressError(Exception):
    """An address that cannot be listened at; says which and why."""


def listening(
    address: str, backlog: int, socket_mode: int, *, reuse_port: bool = False
) -> tuple[str, list[socket.socket]]:
    """Takes `host:port`, at every address of the host, or `unix:PATH`, with that file mode.

    Args:
        address: the address.
        backlog: connections that the kernel keeps while nobody accepts them.
        socket_mode: the file mode of a Unix socket.
        reuse_port: whether other processes that say the same listen there too.

    Returns:
        The address with the port that was taken, and the sockets, which listen.

    Raises:
        AddressError: if it is no address, or another server holds it.
    """
    if address.startswith(_UNIX):
        path = Path(address.removeprefix(_UNIX))
        _clear_socket(path)
        # Closed to all until it has its mode: nobody slips in before.
        umask = os.umask(0o777)
        try:
            made = _listen(address, socket.AF_UNIX, os.fspath(path), backlog=backlog)
        finally:
            os.umask(umask)
        path.chmod(socket_mode)
        return address, [made]
    return _at_every(
        address, lambda *place: _listen(*place, backlog=backlog, reuse_port=reuse_port)
    )


def holding(address: str) -> tuple[str, list[socket.socket]]:
    """Takes `host:port` for others, who will listen there with `reuse_port`.

    Who is held does not listen, else it would be given connections; and no other server gets the
    port while it is held.

    Returns:
        The address with the port that was taken, and the sockets, to be kept.

    Raises:
        AddressError: if another server holds it.
    """
    return _at_every(address, _hold)


def _at_every(address: str, take: Callable[..., socket.socket]) -> tuple[str, list[socket.socket]]:
    """Takes a port at every address of its host, or at none."""
    host, port = host_and_port(address)
    try:
        found = _found(host, port, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(f"{address}: {error}") from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, place in found:
            name = f"[{place[0]}]" if family == socket.AF_INET6 else place[0]
            made = take(f"{name}:{port}", family, (place[0], port, *place[2:]))
            sockets.append(made)
            port = made.getsockname()[1]
    except AddressError:
        for made in sockets:
            made.close()
        raise
    return f"{host}:{port}", sockets


def host_and_port(address: str) -> tuple[str, int]:
    """Takes `host:port` apart.

    Raises:
        AddressError: if it is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise AddressError(f"{address}: expected host:port or unix:PATH")
    return host, int(port)


def is_local(address: str) -> bool:
    """Whether only this machine can call `address`; of a name, whether all that it means are so."""
    if address.startswith(_UNIX):
        return True
    host, port = host_and_port(address)
    try:
        found = _found(host, port)
    except OSError:
        return True  # nobody can call it; listening will say why
    return all(ip_address(str(place[0]).partition("%")[0]).is_loopback for *_, place in found)


def _found(host: str, port: int, flags: int = 0) -> list[tuple[Any, ...]]:
    """What a host and a port mean."""
    name = host.strip("[]")
    # As bytes, or Python would read its tables of all scripts first.
    known: bytes | str = name.encode() if name.isascii() else name
    return list(socket.getaddrinfo(known, port, type=socket.SOCK_STREAM, flags=flags))


def _hold(name: str, family: int, place: tuple[object, ...]) -> socket.socket:
    if place[1]:  # whoever has it, if only to hold it for others, does not share it with us
        _listen(name, family, place, backlog=0).close()
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        _bind(made, family, place, reuse_port=True)
        # From now on nobody binds it who does not share it; the connections that a former server
        # closed a moment ago were no hindrance to us.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        made.close()
        raise _taken(name, error) from error
    return made


def _listen(
    name: str,
    family: int,
    place: tuple[object, ...] | str,
    *,
    backlog: int,
    reuse_port: bool = False,
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        _bind(made, family, place, reuse_port=reuse_port)
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise _taken(name, error) from error
    made.setblocking(False)
    return made


def _taken(name: str, error: OSError) -> AddressError:
    return AddressError(f"{name} is taken, or not ours to take: {error.strerror}")


def _bind(
    made: socket.socket, family: int, place: tuple[object, ...] | str, *, reuse_port: bool
) -> None:
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if os.name == "posix":  # elsewhere it would let two servers share a port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(place)


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
