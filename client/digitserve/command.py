"""Where the command `digitserve` begins: an interrupt ends it quietly also while it is imported.

Imports nothing but the interpreter's own: gRPC alone takes longer than a hand takes to Ctrl-C.
"""

import os
import signal
from typing import NoReturn


def _leave(_number: int, _frame: object) -> NoReturn:
    # Not an exception: an import that is interrupted may make another one of it.
    os.write(2, b"digitserve: interrupted\n")
    os._exit(130)


def main() -> None:
    """Runs the command."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # not where whoever started us ignores interrupts
        signal.signal(signal.SIGINT, _leave)
    from digitserve.client.cli import main as command  # noqa: PLC0415

    signal.signal(signal.SIGINT, usual)
    command()
