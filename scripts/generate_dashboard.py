"""Writes Grafana's dashboard, `deploy/observe/grafana.json`, from the rows below.

`make dashboard` does so; a test holds the file to it, and every expression to what a server tells.
"""

import json
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARD = Path(__file__).resolve().parent.parent / "deploy/observe/grafana.json"

_WIDTH, _HEIGHT, _PANEL = 24, 7, 6
_OF = '{instance=~"$instance"}'
_SOURCE = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """One picture: what it shows, in which unit, by which expressions with their legends."""

    title: str
    unit: str
    lines: dict[str, str]
    help: str = ""
    kind: str = "timeseries"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """How fast a counter grows, summed up."""
    picked = _OF if not where else _OF.replace("{", "{" + where + ",")
    return f"sum{f' by ({by})' if by else ''}(rate({metric}{picked}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """The value below which so many are."""
    buckets = rate(f"{metric}_bucket", f"le{f', {by}' if by else ''}", where)
    return f"histogram_quantile({share}, {buckets})"


def mean(metric: str, by: str = "version") -> str:
    """The mean of a histogram."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"


def quantiles(metric: str, by: str = "", where: str = "") -> dict[str, str]:
    """The middle and the slow end."""
    legend = f" {{{{{by}}}}}" if by else ""
    return {f"p{round(s * 100)}{legend}": quantile(s, metric, by, where) for s in (0.5, 0.99)}


def now(metric: str, by: str = "instance", how: str = "sum") -> str:
    """A gauge, as it is."""
    return f"{how} by ({by}) ({metric}{_OF})"


def growth(metric: str) -> str:
    """By how much a counter grew since the point before."""
    return f"sum(increase({metric}{_OF}[$__rate_interval]))"


_PREDICT = 'method="digitserve.v1.DigitService/Predict"'
_INSTANCE, _VERSION = "{{instance}}", "version {{version}}"

_STATE = [
    Panel("Ready", "bool", {_INSTANCE: now("digitserve_ready", how="min")}, kind="stat"),
    Panel("Stable", "none", {_INSTANCE: now("digitserve_stable_version", how="max")}, kind="stat"),
    Panel(
        "Versions",
        "none",
        {"{{version}} {{state}}": now("digitserve_version", "version, state")},
        "How many processes hold each.",
    ),
    Panel(
        "Swaps, refusals, rollbacks",
        "none",
        {
            "swaps": growth("digitserve_swaps_total"),
            "refused": growth("digitserve_versions_refused_total"),
            "rollbacks": growth("digitserve_rollbacks_total"),
        },
    ),
]
_CALLS = [
    Panel("Calls by code", "reqps", {"{{code}}": rate("digitserve_calls_total", "code")}),
    Panel(
        "Errors by reason",
        "reqps",
        {"{{of}} {{reason}}": rate("digitserve_errors_total", "of, reason")},
        "Calls and frames; docs/protocol.md has the reasons.",
    ),
    Panel(
        "Predict",
        "s",
        quantiles("digitserve_call_seconds", where=_PREDICT),
        "From its message to its answer.",
    ),
    Panel("Predict: wait for a turn", "s", quantiles("digitserve_call_wait_seconds")),
]
_STREAMS = [
    Panel("Open streams", "none", {"{{method}}": now("digitserve_open_streams", "method")}),
    Panel(
        "Frames by outcome",
        "reqps",
        {"{{outcome}} {{reason}}": rate("digitserve_frames_total", "outcome, reason")},
    ),
    Panel("Frames", "s", quantiles("digitserve_frame_seconds"), "From read to predicted and sent."),
    Panel(
        "Where a frame's time goes, p99",
        "s",
        {
            "wait": quantile(0.99, "digitserve_frame_wait_seconds"),
            "network": quantile(0.99, "digitserve_model_seconds"),
            "order and sending": quantile(0.99, "digitserve_frame_write_seconds"),
        },
    ),
]
_NETWORKS = [
    Panel("Images", "ops", {_VERSION: rate("digitserve_version_images_total", "version")}),
    Panel(
        "In the network",
        "s",
        quantiles("digitserve_model_seconds", "version"),
        "For what went through it at once.",
    ),
    Panel("Images at once, mean", "none", {_VERSION: mean("digitserve_batch_images")}),
    Panel(
        "Queue",
        "percentunit",
        {_INSTANCE: f"{now('digitserve_queue_images')} / {now('digitserve_queue_limit_images')}"},
        "Of the images that may be in.",
    ),
]
_DIGITS = rate("digitserve_predictions_total", "digit")
_AGREED = rate("digitserve_shadow_agreed_total", "version")
_ANSWERS = [
    Panel(
        "Digits",
        "percentunit",
        {"{{digit}}": f"{_DIGITS} / ignoring (digit) group_left sum({_DIGITS})"},
        "Their shares.",
    ),
    Panel(
        "Confidence, mean",
        "percentunit",
        {_VERSION: mean("digitserve_confidence")},
        "It falls when what is sent changes.",
    ),
    Panel(
        "Rejection, mean",
        "percentunit",
        {_VERSION: mean("digitserve_rejection")},
        "0 surely a digit, 1 surely none.",
    ),
    Panel(
        "Shadow agrees",
        "percentunit",
        {_VERSION: f"{_AGREED} / {rate('digitserve_shadow_images_total', 'version')}"},
    ),
]
_PROCESS = [
    Panel("CPU", "none", {_INSTANCE: rate("process_cpu_seconds_total", "instance")}, "Cores."),
    Panel("Memory", "bytes", {_INSTANCE: now("process_resident_memory_bytes")}),
    Panel(
        "Open files",
        "percentunit",
        {_INSTANCE: f"max by (instance) (process_open_fds{_OF} / process_max_fds{_OF})"},
        "Of those that may be.",
    ),
    Panel(
        "Up for",
        "s",
        {_INSTANCE: f"time() - {now('process_start_time_seconds', how='max')}"},
        kind="stat",
    ),
]
ROWS = {
    "State": _STATE,
    "Calls": _CALLS,
    "Streams": _STREAMS,
    "Networks": _NETWORKS,
    "Answers": _ANSWERS,
    "Process": _PROCESS,
}


def dashboard() -> dict[str, Any]:
    """All of it, as Grafana reads it."""
    numbers = count(1)
    panels: list[dict[str, Any]] = []
    for at, (title, row) in enumerate(ROWS.items()):
        top = at * (_HEIGHT + 1)
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append({"id": next(numbers), "type": "row", "title": title, "gridPos": place})
        for column, panel in enumerate(row):
            place = {"x": column * _PANEL, "y": top + 1, "w": _PANEL, "h": _HEIGHT}
            panels.append({"id": next(numbers), "gridPos": place, **_drawn(panel)})
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
    instance = {
        "name": "instance",
        "type": "query",
        "label": "Instance",
        "datasource": _SOURCE,
        "query": "label_values(digitserve_ready, instance)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
    }
    return {
        "uid": "digitserve",
        "title": "digitserve",
        "tags": ["digitserve"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, instance]},
        "panels": panels,
    }


def _drawn(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend}
        for at, (legend, expression) in enumerate(panel.lines.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def written() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(written(), encoding="utf-8")
