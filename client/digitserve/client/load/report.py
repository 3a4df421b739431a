"""What a run came to, as one JSON object: counts, rates, percentiles, buckets, and the machine."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from digitserve.client.load.histogram import Histogram
from digitserve.client.load.record import Record
from digitserve.client.load.run import Run

#: From this share of the time on the client's loop is the bottleneck, not the server.
BUSY = 0.9

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def report(run: Run, record: Record) -> dict[str, Any]:
    """Tells a run that was measured, if only in part; times of which there are none are None."""
    meter = run.meter
    failed = dict(record.failed.most_common())
    return {
        "schema": 1,
        "kind": run.load.kind.value,
        "loop": "closed" if run.load.rate is None else "open",
        "images": {
            "source": run.images.source,
            "count": len(run.images.pixels),
            "per_call": run.count,
            "accuracy": run.accuracy,
        },
        "calls": {
            "sent": record.sent,
            "answered": record.answered,
            "failed": sum(failed.values()),
            "failed_by": failed,
            "not_sent": record.not_sent,
        },
        "seconds": meter.seconds,
        "calls_per_second": record.answered / meter.seconds,
        "images_per_second": record.answered * run.count / meter.seconds,
        "latency_ms": _times(record.latency),
        "late_ms": _times(record.late),
        "server_wait_ms": _times(record.wait),
        "server_model_ms": _times(record.model),
        "client": {
            "cpu_seconds_per_call": meter.cpu / record.answered if record.answered else None,
            "busy": meter.busy,
            "bottleneck": meter.busy > BUSY,
        },
        "versions": sorted(record.versions),
        "histogram": [
            {"from_ms": low * 1e3, "to_ms": high * 1e3, "count": count}
            for low, high, count in record.latency.buckets()
        ],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }


def machine() -> dict[str, object]:
    """What the figures depend on besides the server."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("grpcio", "protobuf", "digitserve")},
    }


def _times(histogram: Histogram) -> dict[str, float] | None:
    if not histogram.longest:
        return None
    times = {name: (histogram.quantile(share) or 0) * 1e3 for name, share in _QUANTILES.items()}
    return times | {"max": histogram.longest * 1e3}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
