"""Credentials: what is shown and is not good reaches no handler, and no token reaches the log."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from digitserve.client import CallError, DigitClient
from digitserve.server.guard.tokens import make_token
from proving import Shortfall, expect
from support.command import server_command

_ROOT = Path(__file__).resolve().parent.parent
_TABLE = "tests/server/test_credentials.py"
_OPTIONS = "--strict-markers --import-mode=importlib"


def credentials() -> str:
    """The table of bad credentials, against every method; and what the command logs of them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", f"addopts={_OPTIONS}", _TABLE],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    counted = re.search(r"(\d+) passed", done.stdout)
    if done.returncode or counted is None:
        raise Shortfall(f"{_TABLE}: {done.stdout.strip().splitlines()[-1:]}")
    cases = int(counted[1])
    shown, lines, leaked = _logged()
    return expect(
        cases >= 100 and not leaked,
        f"{cases} cases pass, bound 100; {shown} tokens shown to the command, {leaked} of them in "
        f"the {lines} lines that it wrote",
    )


def _logged() -> tuple[int, int, int]:
    """Shows tokens to a server; gives how many, the lines it wrote, and how many hold a token."""
    good, other = make_token(), make_token()
    halves = [good.token[:-1], good.token[:-1] + "x", good.token.upper(), other.token, "plain"]
    with tempfile.TemporaryDirectory() as place:
        tokens, log = Path(place) / "tokens.json", Path(place) / "log"
        entry = {"id": good.id, "sha256": good.sha256, "name": "robot", "scopes": ["predict"]}
        tokens.write_text(json.dumps({"tokens": [entry], "certificates": []}), encoding="utf-8")
        tokens.chmod(0o600)
        with (
            log.open("w", encoding="utf-8") as stderr,
            server_command("--tokens", str(tokens), log=stderr) as command,
        ):
            for token in (good.token, *halves):
                with DigitClient(command.address, token=token) as client:
                    try:
                        client.predict(bytes(784))
                        client.models.promote(7)
                    except CallError:
                        pass
        written = log.read_text(encoding="utf-8")
    secrets = [each for each in (good.token, *halves) if each != "plain"]
    leaked = sum(each in written or each.partition(".")[2] in written for each in secrets)
    return len(secrets) + 1, len(written.splitlines()), leaked
