"""What a manifest says: what went in and came out, by digest, where, from which seed, and by which decisions."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

import orjson

from app.answers import OPTIONS
from core.db import Record

FORMAT: Final = "secateur-manifest-1"
FIGURES: Final = (
    "latency",
    "predicted_latency_ratio",
    "original",
    "delivered",
    "fidelity",
    "data",
    "recovery",
    "stages",
)
DECISION: Final = ("name", "decision", "reason", "score", "recoverability")


def statement(job: Record, artifacts: Iterable[Record]) -> dict[str, Any]:
    """Return the content of a manifest. It follows from rows that no longer change: asked again, it is the same."""
    report: dict[str, Any] = job["report"] or {}
    return {
        "format": FORMAT,
        "service_version": version("secateur"),
        "job": {name: job[name] for name in ("id", "outcome", "device", "attempt", "submitted_at", "finished_at")},
        "inputs": _inputs(job),
        "outputs": [_file(row["role"], row["name"], row["sha256"], row["size_bytes"]) for row in artifacts],
        "recipe": job["recipe"],
        "seed": job["recipe"].get("seed"),
        "environment": report.get("environment"),
        "decisions": [{key: unit.get(key) for key in DECISION} for unit in report.get("units") or []],
        "figures": {name: report.get(name) for name in FIGURES},
    }


def as_bytes(content: dict[str, Any]) -> bytes:
    """Write a statement in the one form that is signed: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(content, option=OPTIONS | orjson.OPT_SORT_KEYS)


def _inputs(job: Record) -> list[dict[str, Any]]:
    inputs = [_file("model", job["model_name"], job["model_sha256"], job["model_size_bytes"])]
    if job["dataset_sha256"] is not None:
        inputs.append(_file("dataset", job["dataset_name"], job["dataset_sha256"], job["dataset_size_bytes"]))
    return inputs


def _file(role: str, name: str, sha256: str, size_bytes: int) -> dict[str, Any]:
    return {"role": role, "name": name, "sha256": sha256, "size_bytes": size_bytes}
