"""The peer's results, a JSON line each as `python -m benchmarks.peers.practise` writes them, as rows like ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.depth.memory import Row

PUBLISHED_STEPS = 2000
"""Of scoring each unit, and of the fine-tuning: all of the published scripts."""


def practise_rows(file: Path) -> Iterator[Row]:
    """Yield the rows; where fewer steps were taken, say what the published ones would have cost."""
    for line in file.read_text().splitlines():
        row: Row = json.loads(line)
        used = {stage: row[f"{stage}_cpu_seconds"] for stage in ("score", "tune")}
        published = sum(used[stage] * PUBLISHED_STEPS / max(row[f"{stage}_steps"], 1) for stage in used)
        yield row | {
            "kind": "practise",
            "points": row["top1_after"] - row["top1_before"],
            "cpu_seconds": sum(used.values()),
            "cpu_seconds_published": published,
        }
