"""A bundle becomes a version: the next number in a folder that a server watches.

    bundle ──▶ copy under a hidden name ──▶ check the copy ──▶ flush ──▶ rename to the number

The rename is the one moment in which the version appears, whole.  Whoever is killed before it
leaves a hidden folder that no server opens, and that the next publisher sweeps away.  Publishers
take turns by a lock on the folder, which the system takes back from the dead; where the lock
does not reach, as between two machines, a rename never replaces a version: it fails, and the
next number is tried.
"""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digitserve.trainer import bundle

_PREFIX, _SUFFIX = ".publish-", ".partial"
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}


def publish(source: Path, folder: Path) -> Path:
    """Copy the bundle `source` into `folder` as its next version.

    Returns:
        The new version's folder.

    Raises:
        ModelError: if `source` is no bundle, or its files are not what its manifest says.
        OSError: whatever the disk says.
    """
    bundle.read(source)
    folder.mkdir(parents=True, exist_ok=True)
    with _turn(folder):
        for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            shutil.rmtree(left, ignore_errors=True)
        partial = folder / f"{_PREFIX}{secrets.token_hex(4)}{_SUFFIX}"
        partial.mkdir()
        try:
            for name in (bundle.KERAS, bundle.COMPILED, bundle.MANIFEST):
                shutil.copyfile(source / name, partial / name)
            bundle.read(partial)  # the source may have changed meanwhile
            bundle.flush(partial)
            version = _settled(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        bundle.flush_one(folder)
    return version


def _settled(partial: Path, folder: Path) -> Path:
    number = bundle.next_free(folder)
    while True:
        version = folder / str(number)
        try:
            partial.rename(version)
        except OSError as refused:
            if refused.errno not in _TAKEN:
                raise
            number += 1
        else:
            return version


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
