"""What a run leaves: one JSON file with everything that its figures depend on, and its plots."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.growth import Curve
from benchmarks.rows import Result
from digitserve.client.load import machine

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks/results"


def write(
    done: Sequence[Result], grown: Sequence[Curve], steps: Mapping[str, Sequence[float]]
) -> Path:
    """Writes the file, and a plot for each axis; returns where the file is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"bench-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    content = circumstances() | {
        "rows": [asdict(result) | {"verdict": result.verdict} for result in done],
        "growth": [asdict(curve) for curve in grown],
        "steps_us": steps,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if grown:
        _plot(grown, path.with_suffix(".png"))
    return path.relative_to(ROOT)


def circumstances() -> dict[str, Any]:
    """Date, commit, machine and versions."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": described.stdout.strip() or "no commit",
        "machine": machine() | {"ai-edge-litert": version("ai-edge-litert")},
    }


def _plot(grown: Sequence[Curve], path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only for this

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    axes = list(dict.fromkeys(curve.axis for curve in grown))
    figure, plots = plt.subplots(1, len(axes), figsize=(4.2 * len(axes), 3.6))
    for axis, plot in zip(axes, plots, strict=True):
        for curve in (each for each in grown if each.axis == axis):
            name, style = ("digitserve", "-") if curve.kind == "ours" else ("bare echo", "--")
            at = [point.at for point in curve.points]
            plot.plot(at, [point.cpu_us for point in curve.points], style, marker=".", label=name)
        plot.set(xscale="log", yscale="log", xlabel=axis, title="server CPU for an image, µs")
        plot.grid(visible=True, which="both", alpha=0.3)
        plot.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
