"""Percentiles out of buckets, against a sorted list."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.client.load import Histogram

TIMES = st.lists(st.floats(1e-8, 1e4), min_size=1, max_size=300)


@given(TIMES, st.floats(0, 1))
def test_a_quantile_is_that_of_the_sorted_times(times: list[float], share: float) -> None:
    """Within half a bucket: 0.2 %."""
    histogram = Histogram()
    for each in times:
        histogram.add(each)
    exact = sorted(times)[max(1, math.ceil(share * len(times))) - 1]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.002)
    assert (histogram.longest, histogram.count) == (max(times), len(times))


@given(TIMES)
def test_the_buckets_hold_every_time_once(times: list[float]) -> None:
    """Each in the bucket whose edges lie around it."""
    histogram = Histogram()
    for each in times:
        histogram.add(each)
    buckets = list(histogram.buckets())
    assert sum(bucket.times for bucket in buckets) == len(times)
    for each in times:
        assert any(low * (1 - 1e-9) <= each <= high * (1 + 1e-9) for low, high, _ in buckets)


def test_nothing_has_no_quantile() -> None:
    """And a time of zero is a nanosecond."""
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    histogram.add(0.0)
    assert histogram.count == 1
