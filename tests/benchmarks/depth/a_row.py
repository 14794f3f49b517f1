"""Rows as the benchmark of depth writes them, with answers drawn by seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.trained.judge import Hits, accuracy

PICTURES = 400


def hits(share: float, seed: int) -> Hits:
    """Return answers of which about so many are right; the same seed fails on the same pictures first."""
    return np.random.default_rng(seed).permutation(PICTURES) < share * PICTURES


def row(before: float = 0.9, after: float = 0.88, **changes: Any) -> dict[str, Any]:
    """Return a job's row with these shares of right answers."""
    return {
        "model": "cifar10-resnet56",
        "kind": "job",
        "images": 500,
        "latency_ratio": 0.7,
        "seed": 0,
        "cores": 2,
        "error": None,
        "outcome": "target_met",
        "units_cut": 8,
        "groups_cut": 2,
        "measured_ratio": 0.69,
        "measured_ratio_low": 0.68,
        "job_seconds": 100.0,
        "cpu_seconds": 150.0,
        "cpu_seconds_published": 150.0,
        "recovery": {"steps": 100, "steps_planned": 600, "stopped_by": "early_stop"},
        "stages": {"score": 10.0, "recover": 50.0},
        **accuracy(hits(before, 0), hits(after, 0)),
        **changes,
    }
