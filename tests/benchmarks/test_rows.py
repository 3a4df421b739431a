"""What a row makes of its rounds."""

import pytest

from benchmarks.rows import Result, Row, run

SPEED = {"reference": 100.0, "ours": 150.0, "again": 104.0}


def measured(
    figures: dict[str, float], bound: float | None, *, at_most: bool = False, rounds: int = 3
) -> Result:
    return run(Row("a row", "/s", figures.__getitem__, bound, bound, at_most), rounds)


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which the machine is twice as slow changes nothing."""
    asked: list[str] = []

    def measure(kind: str) -> float:
        asked.append(kind)
        return SPEED[kind] / (1 + (len(asked) - 1) // 3)  # each round slower than the last

    result = run(Row("a row", "/s", measure), rounds=5)
    assert result.ratio == result.lowest == result.highest == 1.5
    assert result.against_itself == 1.04


def test_every_round_has_another_order() -> None:
    """So that nobody always comes after the same neighbour."""
    asked: list[str] = []

    def measure(kind: str) -> float:
        asked.append(kind)
        return 1.0

    run(Row("a row", "/s", measure), rounds=3)
    assert len({tuple(asked[at : at + 3]) for at in (0, 3, 6)}) == 3


@pytest.mark.parametrize(
    ("bound", "at_most", "verdict"),
    [
        (1.5, False, "pass"),
        (1.55, False, "within noise"),  # 3 % short; the reference differs from itself by 4 %
        (1.6, False, "FAIL"),
        (1.5, True, "pass"),
        (1.45, True, "within noise"),
        (1.4, True, "FAIL"),
        (None, False, "reported"),
    ],
)
def test_what_falls_short_by_no_more_than_the_noise_is_forgiven(
    bound: float | None, at_most: bool, verdict: str
) -> None:
    """By what the reference differs from itself in the same run."""
    assert measured(SPEED, bound, at_most=at_most).verdict == verdict


def test_noise_forgives_a_tenth_at_most() -> None:
    """A run in which the reference is half as fast the second time proves nothing."""
    assert measured({"reference": 100.0, "ours": 80.0, "again": 50.0}, 1.0).verdict == "FAIL"
