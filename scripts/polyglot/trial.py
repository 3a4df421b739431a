"""A driver, tried on servers: what it printed, and what is wrong with that."""

from dataclasses import dataclass

from polyglot.compare import Outcomes, faults
from polyglot.languages import Language, cases_for
from polyglot.servers import HERE, Installation, all_servers, only
from proving import Shortfall

_SHOWN = 6  # faults; the rest are counted


@dataclass(frozen=True)
class Trial:
    """What came of all cases that these servers could be asked.

    Attributes:
        asked: how many cases.
        outcomes: what the driver printed.
        faults: what is wrong, by the name of the case.
    """

    asked: int
    outcomes: Outcomes
    faults: dict[str, str]

    def passed(self) -> str:
        """Says so.

        Raises:
            Shortfall: if it did not.
        """
        said = f"{self.asked - len(self.faults)} of {self.asked} cases"
        if not self.faults:
            return said
        shown = [f"\n  {name}: {fault}" for name, fault in list(self.faults.items())[:_SHOWN]]
        raise Shortfall(said + "".join(shown))


def trial(
    language: Language,
    real: str,
    by: Installation | None = HERE,
    *,
    reference: Outcomes | None = None,
    version: str | None = None,
) -> Trial:
    """Runs a driver on fresh odd servers.

    Args:
        language: the driver, built.
        real: the address of the real server.
        by: where the odd servers come from; None: there are none.
        reference: what another driver saw on the same server.
        version: of the servers or stubs, if they are older than this.
    """
    with all_servers(real, by) if by else only(real) as servers:
        file = cases_for(servers, version)
        outcomes = language.run(file, servers)
    cases = file["cases"]
    return Trial(len(cases), outcomes, faults(cases, outcomes, reference))


def second_chance(first: Trial, again: Trial) -> Trial:
    """Only what is wrong twice is wrong: some cases are timed, and machines stand still."""
    twice = {name: fault for name, fault in again.faults.items() if name in first.faults}
    return Trial(again.asked, again.outcomes, twice)
