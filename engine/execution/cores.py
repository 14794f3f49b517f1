"""How many cores this process may use. Torch-free, so that the first look at a machine stays light."""

from __future__ import annotations

import os

CORES_MAX = 256
"""More threads than this are an error in what the system reports, or of no use to one network."""


def usable_cores() -> int:
    """Return how many cores the system grants this process, else how many there are; 1 to 256."""
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(granted, CORES_MAX))
