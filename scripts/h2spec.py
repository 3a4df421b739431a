"""h2spec (github.com/summerwind/h2spec), which knows what RFC 9113 asks of a server: `h2spec`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from proving import Skipped, expect  # noqa: E402
from support.command import server_command  # noqa: E402

VERSION = "v2.2.1"
# Written before Go had modules, which is what the end says.
_MODULE = f"github.com/summerwind/h2spec/cmd/h2spec@{VERSION}+incompatible"
_SAID = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")


def h2spec(folder: Path = ROOT / "build" / "h2spec") -> str:
    """Builds it once and has it try a started server.

    Raises:
        Skipped: if there is no Go to build it with.
    """
    tool = folder / "h2spec"
    if not tool.exists():
        if shutil.which("go") is None:
            raise Skipped("h2spec needs Go")
        environment = os.environ | {"GOBIN": str(folder)}
        subprocess.run(["go", "install", _MODULE], env=environment, check=True)
    with server_command() as command:
        port = command.address.rpartition(":")[2]
        done = subprocess.run(
            [str(tool), "-p", port], capture_output=True, text=True, check=False, timeout=600
        )
    found = _SAID.search(done.stdout)
    if found is None:
        return expect(kept=False, figure=done.stdout[-500:] + done.stderr[-500:])
    total, passed, _, failed = map(int, found.groups())
    return expect(
        passed == total and not failed,
        f"h2spec {VERSION}: {passed} of {total}" + ("" if passed == total else done.stdout[-2000:]),
    )


if __name__ == "__main__":
    print(h2spec())
