"""A load generator for digit servers: what `digitserve bench` runs, and benchmarks may use.

    schedule ─▶ loops, streams ─▶ what is asked (kinds) ─▶ server
                      │
                      ▼
                   Record ─▶ report: counts, rates, percentiles, buckets

One process, one event loop, the async client: it is what a user's process would pay.  Time is
the loop's own clock, so a test that moves the clock never sleeps.  Needs no NumPy.
"""

from digitserve.client.load.batches import Batch, batches_of
from digitserve.client.load.data import Images, read_data, stroke_images
from digitserve.client.load.histogram import Histogram
from digitserve.client.load.kinds import Kind, Load, drive, learn
from digitserve.client.load.loops import closed_loop, open_loop
from digitserve.client.load.meter import Meter
from digitserve.client.load.record import Record
from digitserve.client.load.report import machine, report
from digitserve.client.load.run import Run
from digitserve.client.load.schedule import Arrivals, starts

__all__ = [
    "Arrivals",
    "Batch",
    "Histogram",
    "Images",
    "Kind",
    "Load",
    "Meter",
    "Record",
    "Run",
    "batches_of",
    "closed_loop",
    "drive",
    "learn",
    "machine",
    "open_loop",
    "read_data",
    "report",
    "starts",
    "stroke_images",
]
