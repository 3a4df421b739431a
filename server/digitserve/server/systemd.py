"""What systemd is told of a service of `Type=notify`: a few datagrams, as sd_notify(3) lays down.

Whoever waits for the service waits until it serves, not until it was forked; and a process whose
event loop stands still is restarted, as it stops saying that it lives.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

_log = logging.getLogger(__name__)


class Systemd:
    """Tells systemd, if it wants to be told."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Finds out from a process's environment whom to tell, and how often."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an abstract socket
            self._address = "\0" + self._address[1:]
        self._every_s = 0.0
        wanted = environment.get("WATCHDOG_USEC", "")
        if wanted.isdecimal() and environment.get("WATCHDOG_PID", f"{os.getpid()}") == (
            f"{os.getpid()}"
        ):
            self._every_s = int(wanted) / 1e6 / 2  # twice as often as it must, as is recommended

    def say(self, *lines: str) -> None:
        """Sends lines such as `READY=1`; that nobody hears them is no reason to fail."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.settimeout(1)
                to.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.warning("systemd was not told %s: %s", lines[0], error)

    def beat(self) -> None:
        """Says that it lives, from now on, for as long as the running loop runs."""
        if self._every_s and self._address:
            self.say("WATCHDOG=1")
            asyncio.get_running_loop().call_later(self._every_s, self.beat)
