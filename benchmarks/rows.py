"""A row: one ratio of two things measured in turns, beside what the reference differs from itself.

    round 1   reference  ours  again        ratio = ours / reference, within each round;
    round 2   ours  again  reference        then the median: the machine's mood is shared
    round 3   again  reference  ours        within a round and changes between them

`again` is the reference a second time (A against A).  What it differs by is what a ratio is worth
in this run, and what a row may fall short by, up to a tenth.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MOST_SLACK = 0.10
KINDS = ("reference", "ours", "again")


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured, and what it is to reach.

    Attributes:
        name: what is measured.
        unit: of its figures.
        measure: gives one figure of `reference`, `ours` or `again`.
        bound: the ratio to reach; None: it is reported only.
        aim: the ratio hoped for.
        at_most: whether less is better: a time, a cost.
    """

    name: str
    unit: str
    measure: Callable[[str], float]
    bound: float | None = None
    aim: float | None = None
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a row came to.

    Attributes:
        row: the row's name.
        unit: of its figures.
        figures: the median of each kind.
        ratio: ours / reference.
        lowest: the ratio of the worst round.
        highest: the ratio of the best round.
        against_itself: again / reference.
        bound: the ratio to reach.
        aim: the ratio hoped for.
        at_most: whether less is better.
    """

    row: str
    unit: str
    figures: Mapping[str, float]
    ratio: float
    lowest: float
    highest: float
    against_itself: float
    bound: float | None
    aim: float | None
    at_most: bool

    @property
    def slack(self) -> float:
        """What it may fall short by."""
        return min(abs(self.against_itself - 1), _MOST_SLACK)

    @property
    def verdict(self) -> str:
        """`pass`, `within noise`, `FAIL`, or `reported`."""
        if self.bound is None:
            return "reported"
        short = self.ratio / self.bound - 1 if self.at_most else 1 - self.ratio / self.bound
        if short <= 0:
            return "pass"
        return "within noise" if short <= self.slack else "FAIL"


def run(row: Row, rounds: int) -> Result:
    """Measures a row, in so many rounds, each in another order."""
    figures: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(rounds):
        for at in range(len(KINDS)):
            kind = KINDS[(turn + at) % len(KINDS)]
            figures[kind].append(row.measure(kind))
    ratios = [one / other for one, other in zip(figures["ours"], figures["reference"], strict=True)]
    again = [one / other for one, other in zip(figures["again"], figures["reference"], strict=True)]
    return Result(
        row.name,
        row.unit,
        {kind: statistics.median(values) for kind, values in figures.items()},
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(again),
        row.bound,
        row.aim,
        row.at_most,
    )


def line(result: Result) -> str:
    """A row of the table."""
    sign = "≤" if result.at_most else "≥"
    needed = "" if result.bound is None else f"{sign} {result.bound:g} (aim {result.aim:g})"
    return (
        f"{result.row:44} {result.ratio:6.2f} {result.lowest:6.2f}-{result.highest:<6.2f}"
        f"{result.against_itself:6.2f}  {needed:18} {result.verdict:12} "
        f"{result.figures['ours']:,.4g} / {result.figures['reference']:,.4g} {result.unit}"
    )


HEADING = f"{'':44} {'ratio':>6} {'(range)':13}{'A/A':>6}  {'to reach':18} {'':12} ours / reference"
