"""Rows as the benchmark of channels writes them, with answers drawn by seed."""

from __future__ import annotations

from typing import Any

from benchmarks.trained.judge import accuracy
from tests.benchmarks.depth.a_row import hits


def row(before: float = 0.9, after: float = 0.88, **changes: Any) -> dict[str, Any]:
    """Return a job's row with these shares of right answers."""
    return {
        "model": "cifar10-resnet56",
        "kind": "methods",
        "what": "auto",
        "images": 128,
        "latency_ratio": 0.67,
        "seed": 0,
        "cores": 2,
        "error": None,
        "upload": "cifar10-resnet56.onnx",
        "outcome": "target_met",
        "measured_ratio": 0.66,
        "measured_ratio_low": 0.65,
        "measured_ratio_high": 0.67,
        "macs_ratio": 0.6,
        "job_seconds": 100.0,
        "cpu_seconds": 150.0,
        "units_cut": 2,
        "channels_cut": 48,
        "top1_plain": 40.0,
        "top1_closed_form": 80.0,
        "law": 2e-7,
        **accuracy(hits(before, 0), hits(after, 0)),
        **changes,
    }
