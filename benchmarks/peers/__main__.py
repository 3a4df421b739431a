"""`make bench-peers`: digitserve beside the servers that are known, in one run.

Prints one table and exits with 1 if a ratio falls short or a peer cannot be measured, with 130 on
Ctrl-C.  How it is measured, and what is not compared: `README.md`, beside this file.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from benchmarks.peers.known import OURS, PEERS
from benchmarks.peers.question import ask_litert
from benchmarks.peers.results import rows, table, write
from benchmarks.peers.rounds import SHORT, Plan, Run


def main() -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer rounds: minutes, not a quarter")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only peers whose names hold this; repeat"
    )
    options = parser.parse_args()
    wanted = [each.lower() for each in options.only or [""]]
    peers = [
        peer for peer in PEERS if peer is OURS or any(each in peer.name.lower() for each in wanted)
    ]
    if options.only and len(peers) == 1:
        known = "; ".join(peer.name for peer in PEERS)
        parser.error(f"--only {' '.join(options.only)}: no such peer; there are {known}")
    plan = SHORT if options.short else Plan()
    signal.signal(signal.SIGTERM, _as_interrupt)
    run = Run(ask_litert())
    # In /tmp, and short: Ray's sockets lie in it, and a socket's path has 107 characters.
    with tempfile.TemporaryDirectory(prefix="peers-", dir="/tmp") as folder:
        try:
            for peer in peers:
                run.start(peer, Path(folder), plan.starts)
            for number in range(plan.rounds):
                run.round(number, plan)
            run.weigh()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C leaves nobody behind
            run.end()
    found = rows(run, [peer.name for peer in peers])
    print(f"\n{table(found)}\n\n{write(run, plan, found)}")
    return int(any(row.verdict.startswith("FAIL") for row in found))


def _as_interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; every server is ended", file=sys.stderr)
        sys.exit(130)
