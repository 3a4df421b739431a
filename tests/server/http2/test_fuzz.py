"""Bent messages and hostile connections, of seeds that are kept.  `hostile_bytes` takes more."""

import pytest

from support.engines import image_of
from support.fuzz import Fuzzed, fuzz_connections, fuzz_messages
from support.http2 import Peer
from support.serving import Serving

# Add to them what a longer run finds: `SEED:AT` names a case, `support.fuzz.dice` makes it again.
_SEEDS = [1, 2, 20_261]


def healthy(peer: Peer) -> None:
    """A call that must go well."""
    assert peer.predict(image_of(7)) == [7]


def clean(fuzzed: Fuzzed, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody was told INTERNAL, and nobody has to look into the log."""
    assert fuzzed.faults == []
    assert [each for each in caplog.records if each.levelname in {"ERROR", "CRITICAL"}] == []


@pytest.mark.parametrize("seed", _SEEDS)
def test_bent_messages_are_the_callers_fault(
    up: Serving, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is refused, or answered if it still is a message; the next caller sees nothing."""
    fuzzed = fuzz_messages(up.address, 1500, seed, healthy)
    clean(fuzzed, caplog)
    assert fuzzed.statuses[0] > 100
    assert fuzzed.statuses[3] > 100


@pytest.mark.parametrize("seed", _SEEDS)
def test_hostile_connections_harm_nobody(
    up: Serving, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each ends by itself, the next caller is answered, and nothing is left behind."""
    tasks = up.tasks()
    fuzzed = fuzz_connections(up.address, 150, seed, healthy)
    clean(fuzzed, caplog)
    assert len(fuzzed.statuses) > 3  # of many kinds
    while up.tasks() > tasks or up.server.streams:
        pass
