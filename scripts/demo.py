"""`make demo`: starts the server with the bundled model, asks it both ways, and stops it.

Nothing here that a user could not type: it says each command before it runs it.
"""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = Path(sys.executable).parent


def say(*words: str) -> None:
    """Shows a command as a user would type it."""
    print(f"\n$ {shlex.join(words)}", flush=True)


def run(*words: str) -> None:
    """Runs a command; its failure is the demo's."""
    say(*words)
    done = subprocess.run([COMMANDS / words[0], *words[1:]], cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    """Starts, asks, stops."""
    say("digitserve-server", "--address", "127.0.0.1:0")
    server = subprocess.Popen(
        [COMMANDS / "digitserve-server", "--address", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        said = server.stdout.readline()
        if not said:
            raise SystemExit(server.wait())
        print(said, end="")
        address = said.removeprefix("serving on ").strip()
        run("digitserve", "health", "--address", address)
        pictures = sorted(
            path.relative_to(ROOT).as_posix() for path in ROOT.glob("samples/digits/*.png")
        )
        run("digitserve", "predict", "--address", address, *pictures[:4])
        run("digitserve", "predict", "--address", address, "--json", "--brief", *pictures[4:8])
        run("digitserve", "stream", "--address", address, "samples/digits.npy")
        say("kill", "-INT", "…")
        server.send_signal(signal.SIGINT)
        code = server.wait(timeout=60)
        print(f"the server drained and ended with exit code {code}")
        raise SystemExit(code)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
