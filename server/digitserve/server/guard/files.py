"""Files that are read again when they change.

A look costs a system call for each.  What is broken, or gone, changes nothing: what was read before
holds on, and the log gets one line.  What could not be read is tried again at each look: nobody
changes a file twice because there was no descriptor left for the first time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from digitserve.server.guard import FileUnread, GuardError

_log = logging.getLogger(__name__)

# Seconds between two looks: what is revoked is to be noticed within five.
LOOK_S = 1.0

# What tells whether a file changed; None if it is gone.
_Signature = tuple[int, int, int] | None


class Watched:
    """Some files, and what is made of them together."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], None]) -> None:
        """Reads them for the first time.

        Args:
            paths: the files.
            read: takes them in; changes nothing if it raises.

        Raises:
            GuardError: if `read` does.
        """
        self._paths, self._read = paths, read
        self._seen = self._signatures()  # before they are read: what changes meanwhile is seen
        self._unread = ""  # why they could not be read at the last look
        read()

    def look(self) -> bool:
        """Reads them again if one has changed; returns whether they were taken in."""
        now = self._signatures()
        if now == self._seen:
            self._unread = ""
            return False
        try:
            self._read()
        except GuardError as error:
            unread = str(error) if isinstance(error, FileUnread) else ""
            if not unread:
                self._seen = now
            if not unread or unread != self._unread:
                _log.error("%s; what was read before holds on", error)
            self._unread = unread
            return False
        self._seen, self._unread = now, ""
        _log.info("read again: %s", ", ".join(map(str, self._paths)))
        return True

    def _signatures(self) -> list[_Signature]:
        return [_signature(path) for path in self._paths]


def read_bytes(path: Path) -> bytes:
    """Reads a whole file.

    Raises:
        FileUnread: naming it, and what the system says.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnread(f"{path}: cannot be read: {error.strerror}") from error


async def look_again(
    look: Callable[[], object],
    every_s: float = LOOK_S,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Looks again and again, for as long as it is not cancelled."""
    while True:
        await sleep(every_s)
        try:
            look()
        except Exception:  # the disk may be away for a while; what was read holds on
            _log.exception("cannot look at the files of the guard")


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
