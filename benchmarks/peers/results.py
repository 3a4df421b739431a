"""What a run found: a line for each promise with its verdict, one table, and a file for later."""

import json
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.figures import Ratio, ratio
from benchmarks.peers.known import OURS, PEERS, TRITON
from benchmarks.peers.pipelining import NEEDED
from benchmarks.peers.rounds import AGAIN, OURS_PIPELINED, PIPELINED, TRITON_CLIENT, Plan, Run
from benchmarks.results import FOLDER, circumstances

CLIENTS = "pipelined client"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: of a server, or of the clients' row.
        figures: medians over the rounds, by column.
        ratio: of digitserve to this.  None: it has none, because it failed or is digitserve.
        needed: that ratio, at least.  None: reported only.
        fault: why there are no figures.
    """

    name: str
    figures: dict[str, float]
    ratio: Ratio | None = None
    needed: float | None = None
    fault: str = ""

    @property
    def verdict(self) -> str:
        """`pass`, `FAIL`, or that nothing was needed."""
        if self.fault:
            return f"FAIL: {self.fault}"
        if self.needed is None:
            return "" if self.ratio is None else "reported"
        return "pass" if self.ratio and self.ratio.median >= self.needed else "FAIL"


def rows(run: Run, names: list[str]) -> list[Row]:
    """A row for each server, then digitserve against itself, then the clients."""
    ours = _rates(run, OURS.name)
    found = []
    for peer in PEERS:
        if peer.name not in names:
            continue
        fault = run.failures.get(peer.name) or ("" if ours else f"{OURS.name} failed")
        paired = None if fault or peer is OURS else ratio(ours, _rates(run, peer.name))
        figures = {} if fault else _figures(run, peer.name)
        found.append(Row(peer.name, figures, paired, peer.needed, fault))
    if ours and (again := _rates(run, AGAIN)):
        found.append(Row(AGAIN, _turns(run, AGAIN), ratio(ours, again)))
    return [*found, _pipelined(run)] if TRITON.name in names else found


def table(found: list[Row]) -> str:
    """The servers, then the clients."""
    columns = {
        "calls/s": "calls_per_second",
        "p50 µs": "p50_us",
        "CPU µs": "cpu_us",
        "start s": "start_s",
        "PSS MB": "pss_mb",
        "RSS MB": "rss_mb",
    }
    lines = [f"{'':24}{''.join(f'{name:>9}' for name in columns)}  digitserve / this      needed"]
    for row in found:
        cells = "".join(_cell(row.figures.get(key), key) for key in columns.values())
        told = _told(row.ratio)
        needed = "" if row.needed is None else f"{row.needed:g}"
        lines.append(f"{row.name:24}{cells}  {told:22} {needed:>4}  {row.verdict}".rstrip())
        if row.name == CLIENTS:
            lines += [f"  {name}: {rate:,.0f} predictions/s" for name, rate in row.figures.items()]
    return "\n".join(lines)


def write(run: Run, plan: Plan, found: list[Row]) -> Path:
    """Everything, as JSON; returns where."""
    now = datetime.now(UTC)
    content = {
        **circumstances(),
        "plan": asdict(plan),
        "images": run.question.source,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in found],
        "rounds": run.turns,
        "pipelined": run.predictions,
        "versions": run.versions,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"peers-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _rates(run: Run, name: str) -> list[float]:
    if name in run.failures:
        return []
    return [turn["calls_per_second"] for turn in run.turns.get(name, [])]


def _turns(run: Run, name: str) -> dict[str, float]:
    turns = run.turns[name]
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def _figures(run: Run, name: str) -> dict[str, float]:
    pss, rss = run.weights[name]
    return _turns(run, name) | {
        "start_s": run.start_s[name],
        "pss_mb": pss / 1e6,
        "rss_mb": rss / 1e6,
    }


def _pipelined(run: Run) -> Row:
    ours, theirs = (run.predictions.get(each, []) for each in (OURS_PIPELINED, TRITON_CLIENT))
    figures = {key: statistics.median(rates) for key, rates in run.predictions.items() if rates}
    faults = [run.failures.get(each) for each in (PIPELINED, OURS.name, TRITON.name)]
    fault = next(filter(None, faults), "")
    return Row(CLIENTS, figures, None if fault else ratio(ours, theirs), NEEDED, fault)


def _told(paired: Ratio | None) -> str:
    if paired is None:
        return ""
    return f"{paired.median:5.2f} ({paired.lowest:.2f} to {paired.highest:.2f})"


def _cell(value: float | None, key: str) -> str:
    if value is None:
        return f"{'':9}"
    return f"{value:9.1f}" if key == "start_s" else f"{value:9,.0f}"
