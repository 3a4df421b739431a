"""Several processes on one port, and the one that watches over them.

    supervisor ─┬─ channel ─▶ worker 0 ─▶ port      decides on versions, replaces who died, tells
                ├─ channel ─▶ worker 1 ─▶ port      metrics; serves no calls itself
                └─ holds the port, bound and not listening

The kernel gives each new connection to one of the workers.
"""


class WorkerError(Exception):
    """A worker cannot be kept alive; says which and how it ended."""
