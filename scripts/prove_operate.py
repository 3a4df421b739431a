"""`make prove-operate`: the promises to who runs a server, each measured anew, with its figure.

`--short` takes less time over each; the promises are the same.  `--soak SECONDS` says how long the
soak lasts, else an hour, and 30 s with `--short`.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from h2spec import h2spec  # noqa: E402
from hostile_bytes import fuzz_connections, fuzz_messages  # noqa: E402
from operate_certificates import certificates_swapped  # noqa: E402
from operate_credentials import credentials  # noqa: E402
from operate_metrics import alerts_and_dashboard, metrics_exact  # noqa: E402
from operate_overload import client_backs_off, highest_rate, overload  # noqa: E402
from operate_soak import soak  # noqa: E402
from operate_workers import killed_worker, promoted_everywhere  # noqa: E402
from proving import prove  # noqa: E402

# Of what is bent: the same in every run.
SEED = 1


def promises(short: bool, soak_s: float) -> dict[str, Callable[[], str]]:
    """A promise is a line here and a function that gives its figure, or raises Shortfall."""
    return {
        "overload, 2 ms an image, five times its rate": partial(overload, short),
        "overload, the Python client backs off": partial(client_backs_off, short),
        "the real network, p99 at most ten times idle": partial(highest_rate, short),
        "credentials": credentials,
        "certificates swapped under load": partial(certificates_swapped, short),
        "messages bent": partial(fuzz_messages, 100_000, SEED),
        "connections bent": partial(fuzz_connections, 2_000 if short else 10_000, SEED),
        "HTTP/2": h2spec,
        "metrics are what a load did": partial(metrics_exact, short),
        "alerts and dashboard": alerts_and_dashboard,
        "a worker killed": partial(killed_worker, 2 if short else 10),
        "versions of two workers": partial(promoted_everywhere, 10 if short else 50),
        "soak, mixed load": partial(soak, soak_s),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--soak", type=float, metavar="SECONDS")
    parser.add_argument("--only", default="", metavar="PART OF A LINE'S NAME")
    options = parser.parse_args()
    soak_s = options.soak or (30 if options.short else 3600)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    chosen = promises(options.short, soak_s).items()
    prove(*((name, measure) for name, measure in chosen if options.only in name))
