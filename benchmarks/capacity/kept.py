"""A measurement as JSON: what was seen, of which the costs are made anew when it is read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.capacity.costs import Costs, fitted
from benchmarks.capacity.holding import Holding, held
from benchmarks.capacity.mixes import VERSIONS, Observation, measured
from benchmarks.results import FOLDER, circumstances

KEPT = FOLDER / "capacity.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen.

    Attributes:
        where: date, commit, machine and versions.
        yardstick_us: what the yardstick cost meanwhile.
        seen: every mix.
        holding: what open and idle costs.
    """

    where: dict[str, Any]
    yardstick_us: float
    seen: list[Observation]
    holding: Holding

    @property
    def costs(self) -> Costs:
        """What explains it."""
        return fitted(self.seen)


def measure(rounds: int, versions: Sequence[int] = VERSIONS, *, brief: bool = False) -> Measured:
    """Measures, in so many rounds; `brief`: the least that tells costs apart."""
    usual, seen = measured(rounds, versions, brief=brief)
    return Measured(circumstances(), usual, seen, held(versions[0]))


def write(what: Measured, path: Path = KEPT) -> None:
    """Keeps it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(what), indent=1) + "\n", encoding="utf-8")


def read(path: Path = KEPT) -> Measured:
    """Reads what was kept."""
    found = json.loads(path.read_text(encoding="utf-8"))
    seen = [Observation(**each) for each in found["seen"]]
    return Measured(found["where"], found["yardstick_us"], seen, Holding(**found["holding"]))
