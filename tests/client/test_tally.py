"""What a stream came to, in a line."""

from digitserve.client import Predicted
from digitserve.client.cli.tally import Tally


def test_no_percentile_lies_beyond_what_was_measured() -> None:
    """Of few frames as of many: p99 of three is at most the longest."""
    tally = Tally()
    for milliseconds in (1, 2, 10):
        tally.count(Predicted(0, "", (), 0.0, milliseconds / 1e3))
    assert "p50 2.00 ms, p99 9.84 ms" in tally.line()
