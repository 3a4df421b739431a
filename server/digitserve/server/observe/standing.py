"""What need not be counted, since it is known anyway: read when it is asked for."""

import os
import resource
import sys
import time
from pathlib import Path

from digitserve.server.admission import Admission
from digitserve.server.observe.family import Snapshot, counter, gauge
from digitserve.server.versions.registry import Registry

_STATUS = Path("/proc/self/statm")
_FILES = Path("/proc/self/fd")
_STARTED = time.time()  # near enough: this module is imported when the process starts


def of_registry(registry: Registry) -> Snapshot:
    """The versions: which there are, what they did, who is stable."""
    entries = [entry for entry, _ in registry.listed()]
    states = [([str(each.number), each.state.name.lower()], 1) for each in entries]
    images = [([str(each.number)], each.version.images) for each in entries if each.version]
    shadows = [([str(number)], *told) for number, told in registry.shadow.tallies.items()]
    version = ("version",)
    return [
        gauge("digitserve_version", "1 for each version.", states, ("version", "state")),
        counter("digitserve_version_images", "Images that a version answered.", images, version),
        gauge(
            "digitserve_stable_version",
            "Who answers by default; 0: nobody.",
            [([], registry.stable or 0)],
        ),
        counter("digitserve_swaps", "Of the stable version for another.", [([], registry.swaps)]),
        counter("digitserve_versions_refused", "By their gates.", [([], registry.refusals)]),
        counter("digitserve_rollbacks", "Of versions that broke.", [([], registry.rollbacks)]),
        counter(
            "digitserve_shadow_images",
            "Images that a shadow was asked.",
            [(number, asked) for number, asked, _ in shadows],
            version,
        ),
        counter(
            "digitserve_shadow_agreed",
            "Of those, read as they were answered.",
            [(number, agreed) for number, _, agreed in shadows],
            version,
        ),
    ]


def of_server(admission: Admission, *, ready: bool) -> Snapshot:
    """Whether it is ready, and how full."""
    return [
        gauge("digitserve_ready", "1 while health says SERVING.", [([], int(ready))]),
        gauge("digitserve_queue_images", "Images that are in.", [([], admission.images)]),
        gauge("digitserve_queue_limit_images", "How many may be.", [([], admission.most)]),
    ]


def of_process() -> Snapshot:
    """The process, under the names that every Prometheus client has for these."""
    told = [
        counter("process_cpu_seconds", "CPU time, user and system.", [([], time.process_time())]),
        gauge("process_start_time_seconds", "Since the epoch.", [([], _STARTED)]),
    ]
    if sys.platform == "linux":
        page = os.sysconf("SC_PAGE_SIZE")
        virtual, resident, *_ = map(int, _STATUS.read_text(encoding="ascii").split())
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        told += [
            gauge("process_resident_memory_bytes", "In RAM.", [([], resident * page)]),
            gauge("process_virtual_memory_bytes", "Addressed.", [([], virtual * page)]),
            gauge("process_open_fds", "Open files.", [([], len(os.listdir(_FILES)))]),
            gauge("process_max_fds", "How many there may be.", [([], most)]),
        ]
    return told
