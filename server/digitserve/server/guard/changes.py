"""Changes to the tokens file, each whole or not at all.

Somebody else may be changing it, and a server may be reading it: writers take turns by a lock on
the folder, and the new file is written beside the old one, flushed, and renamed.  Nobody but its
owner may read it.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from digitserve.server.guard import GuardError
from digitserve.server.guard.files import read_bytes
from digitserve.server.guard.table import parse_table

_MODE = 0o600

Edit: TypeAlias = Callable[[dict[str, Any]], None]


def read_told(path: Path) -> dict[str, Any]:
    """What the file says, checked.

    Raises:
        GuardError: if it cannot be read, or is wrong.
    """
    data = read_bytes(path)
    parse_table(data, path)
    told: dict[str, Any] = json.loads(data)
    return told


def change(path: Path, edit: Edit, *, create: bool = False) -> None:
    """Changes the file.

    Args:
        path: the file.
        edit: changes what it says; changes nothing if it raises.
        create: whether to begin a file that is not there.

    Raises:
        GuardError: if it cannot be read or written, or is wrong, before or after.
    """
    path = path.resolve()  # a link stays one
    try:
        with _turn(path.parent):
            told = {} if create and not path.exists() else read_told(path)
            edit(told)
            data = json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"
            parse_table(data, path)
            _replace(path, data)
    except OSError as error:
        raise GuardError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)  # the rename is to outlive a power cut
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}-{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
