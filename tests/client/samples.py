"""Answers of a service as a job goes through it."""

from __future__ import annotations

from typing import Any


def job(state: str = "running", **fields: Any) -> dict[str, Any]:
    base = {"id": "job_1", "state": state, "outcome": None, "fraction": 0.0, "attempt": 1, "version": 1, "error": None}
    return base | fields


def succeeded(outcome: str = "target_met") -> dict[str, Any]:
    return job("succeeded", outcome=outcome, fraction=1.0, version=9)


def candidate(number: int, count: int, **fields: Any) -> dict[str, Any]:
    """Return one line of a front's list: the first is the slowest."""
    ratio = 1 - number / (count + 1)
    return {
        "id": f"{number:02}",
        "name": f"candidates/{number:02}.onnx",
        "is_model": number == 1,
        "latency_ratio": {"value": ratio, "low": ratio - 0.01, "high": ratio + 0.01},
        "latency_ms_p50": 10 * ratio,
        "error": 0.1 * number,
        "accuracy": None,
        "agreement": {"value": 0.9, "low": 0.8, "high": 0.95},
        "size_bytes": 1234,
        "artifact_id": f"art_candidates/{number:02}.onnx",
    } | fields


def report(outcome: str = "target_met") -> dict[str, Any]:
    latency = {"latency_ms_p50": 10.0, "latency_ms_p95": 12.0, "samples": 100}
    return {
        "outcome": outcome,
        "summary": "2 of 3 units were cut.",
        "latency": {
            "original": latency,
            "delivered": {"latency_ms_p50": 7.0, "latency_ms_p95": 8.0, "samples": 100},
            "ratio": {"value": 0.7, "low": 0.69, "high": 0.71},
        },
        "original": {"parameters": 1000, "macs": 20000, "size_bytes": 4096},
        "delivered": {"parameters": 600, "macs": 12000, "size_bytes": 2500},
        "fidelity": None,
        "units": [
            {"name": "a", "decision": "cut"},
            {"name": "b", "decision": "cut"},
            {"name": "c", "decision": "kept"},
        ],
        "environment": {
            "runtime": "ONNX Runtime",
            "processor": "a processor",
            "accelerator": None,
            "threads": 1,
            "batch": 8,
        },
        "warnings": ["one"],
    }
