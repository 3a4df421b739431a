"""A process with a network, a table of mounts and process numbers of its own.

Nothing that is made inside is seen outside, and the kernel takes all of it back, processes too,
when the first process ends, however that comes.  Root is not needed where users may make
namespaces.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from proving import Skipped

_INSIDE = "DIGITSERVE_SANDBOX"


def enter() -> None:
    """Begins this program anew inside a sandbox, unless it is in one.

    Raises:
        Skipped: if this user may make none.
    """
    if os.environ.get(_INSIDE) == str(os.getppid()):
        os.environ.pop(_INSIDE)
        _furnish()
        return
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid():
        unshare.append("--map-root-user")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        raise Skipped("needs `unshare` with network, mount and process namespaces: root, say")
    # The parent of who is number 1 in there is number 0.
    again = [*unshare, sys.executable, *sys.argv]
    os.execvpe(again[0], again, os.environ | {_INSIDE: "0"})  # noqa: S606


def _furnish() -> None:
    """What a machine has: a loopback, and folders that programs write to."""
    for command in (
        "mount --make-rprivate /",
        "mount -t tmpfs tmpfs /run",
        "ip link set lo up",
    ):
        subprocess.run(command.split(), check=True)


def resolve_at(address: str) -> None:
    """Lets every process in here ask this DNS server for names."""
    with tempfile.NamedTemporaryFile("w", prefix="resolv-", delete=False) as file:
        file.write(f"nameserver {address}\noptions timeout:1 attempts:2\n")
    Path(file.name).chmod(0o644)
    subprocess.run(["mount", "--bind", file.name, os.path.realpath("/etc/resolv.conf")], check=True)
    Path(file.name).unlink()
