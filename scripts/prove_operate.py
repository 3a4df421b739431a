"""`make prove-operate`: the promises to who runs a server, each measured anew, with its figure.

`--short` takes less time over each; the promises are the same.  `--soak SECONDS` says how long the
soak lasts, else an hour, and 30 s with `--short`.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from operate_certificates import certificates_swapped  # noqa: E402
from operate_credentials import credentials  # noqa: E402
from operate_overload import client_backs_off, highest_rate, overload  # noqa: E402
from operate_soak import soak  # noqa: E402
from proving import prove  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--soak", type=float, metavar="SECONDS")
    options = parser.parse_args()
    short = options.short
    soak_s = options.soak or (30 if short else 3600)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # A promise is a line here and a function that gives its figure, or raises Shortfall.
    prove(
        ("overload, 2 ms an image, five times its rate", lambda: overload(short)),
        ("overload, the Python client backs off", lambda: client_backs_off(short)),
        ("the real network, p99 at most ten times idle", lambda: highest_rate(short)),
        ("credentials", credentials),
        ("certificates swapped under load", lambda: certificates_swapped(short)),
        ("soak, mixed load", lambda: soak(soak_s)),
    )
