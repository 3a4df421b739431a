"""The promises of several servers behind Envoy, HAProxy, or a client that asks all of them."""

from functools import partial

from proving import Promise
from scale.hosts import Network
from scale.outages import balanced, outages
from scale.proxied_cases import conformance
from scale.proxy_doors import accepted, doors, floods
from scale.proxy_kinds import ENVOY, KINDS
from scale.proxy_patience import left_alone, slow_readers


def promises(network: Network, *, short: bool) -> list[Promise]:
    """All of them: about two minutes; at length each is waited for to its last second."""
    each: list[Promise] = [
        ("their own checkers take the committed files", partial(accepted, network, *KINDS)),
        *(
            (f"{kind.name}: every conformance case", partial(conformance, network, kind))
            for kind in KINDS
        ),
        ("a host cut off, kill -9, a rolling upgrade", partial(outages, network, *KINDS)),
        ("shares of streams and calls", partial(balanced, network, *KINDS, short=short)),
        ("TLS to callers, mTLS to servers, the log, gRPC-Web", partial(doors, network, *KINDS)),
        ("floods", partial(floods, network, *KINDS)),
        ("readers who stand still", partial(slow_readers, network, *KINDS)),
        (f"{ENVOY.name}: old connections, a server that leaves DNS", partial(left_alone, network)),
    ]
    return each
