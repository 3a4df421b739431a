"""`make prove-scale`: the promises beyond one machine, each with its figure.

Hosts are network namespaces on this machine: servers behind Envoy, behind HAProxy and behind
nothing; a Ray cluster of three nodes.  `--short` takes less time over each; the promises are the
same.  `--only TEXT` keeps those whose names contain it.
"""

import argparse
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from proving import Promise, Skipped, prove  # noqa: E402
from scale import proxied, ray_cluster, sandbox  # noqa: E402
from scale.capacity import capacity_checked  # noqa: E402
from scale.hosts import Network  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="", metavar="PART OF A LINE'S NAME")
    options = parser.parse_args()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        sandbox.enter()
    except Skipped as why:
        parser.exit(1, f"prove_scale: {why}\n")
    with Network() as network, ExitStack() as stack:
        promises: list[Promise] = [
            *proxied.promises(network, short=options.short),
            *ray_cluster.promises(network, stack),
            ("what a load needs, foretold and measured", partial(capacity_checked, options.short)),
        ]
        prove(*((name, measure) for name, measure in promises if options.only in name))
