"""The arithmetic of `make bench-peers`: pairs first, then medians."""

import pytest

from benchmarks.peers.figures import Ratio, in_turns, ratio


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that is three times as slow in one round changes nothing."""
    assert ratio([200, 600, 210], [100, 300, 100]).median == 2


def test_a_ratio_tells_its_worst_and_its_best_round() -> None:
    """One lucky round moves the range, not the median."""
    assert ratio([200, 200, 900], [100, 125, 100]) == Ratio(median=2, lowest=1.6, highest=9)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0, 2.0], [1.0])])
def test_rounds_that_do_not_pair_up_have_no_ratio(ours: list[float], theirs: list[float]) -> None:
    """Half a pair is not measured against somebody else's round."""
    with pytest.raises(ValueError, match=r"round|shorter"):
        ratio(ours, theirs)


def test_a_round_visits_every_server_once_in_an_order_of_its_own() -> None:
    """No server is always measured right after the same other one; the next run repeats it all."""
    names = ["a", "b", "c", "d"]
    orders = [in_turns(names, number) for number in range(8)]
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) > 4
    assert orders == [in_turns(names, number) for number in range(8)]
