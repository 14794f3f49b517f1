"""The peer's results, a JSON line each as `python -m benchmarks.peers.practise` writes them, as rows like ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.trained.memory import Row

PUBLISHED_STEPS = 2000
"""Of scoring each unit, and of the fine-tuning: all of the published scripts."""


def practise_rows(file: Path) -> Iterator[Row]:
    """Yield the rows of most steps; where those are fewer than published, say what these would have cost."""
    best: dict[tuple[object, ...], Row] = {}
    for line in file.read_text().splitlines():
        row: Row = json.loads(line)
        key = tuple(row[name] for name in ("model", "images", "latency_ratio", "seed"))
        best[key] = max(best.get(key, row), row, key=lambda each: (each["score_steps"], each["tune_steps"]))
    for row in best.values():
        used = {stage: row[f"{stage}_cpu_seconds"] for stage in ("score", "tune")}
        published = sum(used[stage] * PUBLISHED_STEPS / max(row[f"{stage}_steps"], 1) for stage in used)
        yield row | {
            "kind": "practise",
            "points": row["top1_after"] - row["top1_before"],
            "cpu_seconds": sum(used.values()),
            "cpu_seconds_published": published,
            "shortened": _shortened(row),
        }


def _shortened(row: Row) -> str | None:
    """Say how many steps of scoring and of fine-tuning were taken, where these are fewer than published."""
    taken = row["score_steps"], row["tune_steps"]
    return None if min(taken) >= PUBLISHED_STEPS else "{} + {} steps".format(*taken)
