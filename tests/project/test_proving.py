"""What the `make prove-…` suites make of what they measure."""

from collections.abc import Callable

import pytest

from proving import Promise, expect, prove


def measuring(*seen: float) -> Callable[[], str]:
    """A measurement that sees these times, one at each try; right, and within a bound of 1."""
    left = iter(seen)

    def measure() -> str:
        taken = next(left)
        return expect(True, f"{taken:g} s", bounds=taken <= 1)

    return measure


def proved(capsys: pytest.CaptureFixture[str], *promises: Promise) -> tuple[list[str], object]:
    """What a suite of these says, and its exit code."""
    with pytest.raises(SystemExit) as ended:
        prove(*promises)
    return capsys.readouterr().out.splitlines(), ended.value.code


def test_a_figure_out_of_bounds_is_measured_again_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said, code = proved(capsys, ("quick", measuring(3, 0.5)))
    assert said == [
        "pass  quick: 0.5 s; before that, out of bounds: 3 s  [0 s]",
        "1 passed, 0 failed",
    ]
    assert code == 0


def test_a_figure_that_is_always_out_of_bounds_falls_short(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said, code = proved(capsys, ("quick", measuring(3, 2, 4)))
    assert said == ["FAIL  quick: 3 s; again: 2 s; again: 4 s  [0 s]", "0 passed, 1 failed"]
    assert code == 1


def test_what_is_wrong_is_not_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    tries = []

    def measure() -> str:
        tries.append(1)
        return expect(False, "1 frame lost", bounds=False)

    said, code = proved(capsys, ("none lost", measure))
    assert said[0] == "FAIL  none lost: 1 frame lost  [0 s]"
    assert (len(tries), code) == (1, 1)


def test_an_error_falls_short_and_the_others_are_still_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure() -> str:
        raise TimeoutError("no answer")

    said, code = proved(capsys, ("answers", measure), ("quick", measuring(0.5)))
    assert said == [
        "FAIL  answers: TimeoutError('no answer')  [0 s]",
        "pass  quick: 0.5 s  [0 s]",
        "1 passed, 1 failed",
    ]
    assert code == 1
