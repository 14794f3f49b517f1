"""Predictions beside measurements as Markdown: a line for each network and load, and what must be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.depth.bars import honest
from benchmarks.markdown import lines

MEDIAN_MAX, P95_MAX, AGAIN_MAX = 0.05, 0.10, 0.03
HONEST_LEAST = 0.95

Row = dict[str, Any]


def tables(rows: Sequence[Row], kinds: Sequence[Row], jobs: Sequence[Row]) -> str:
    """Return what must be shown, the errors they come from, the jobs' promises, and the shares of the units."""
    head = [
        "model",
        "beside",
        "sets",
        "median error",
        "95th percentile",
        "worst",
        "two tables differ by (95th percentile)",
    ]
    parts = {
        "What must be shown": [*_bars(rows), "", *_promises(jobs)],
        "Predicted against measured": lines(head, _errors(rows)),
        "One unit's part of the latency": lines(
            ["model", "units alike", "first of them", "share (95 %)"], _kinds(kinds)
        ),
    }
    return "\n\n".join(f"## {title}\n\n" + "\n".join(part) for title, part in parts.items())


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return the errors of both tables, without sign, and by how much the two predict different ratios."""
    errors = np.abs([error for row in rows for error in (row["error"], row["error_again"])])
    again = np.abs([row["predicted_again"] / row["predicted"] - 1 for row in rows])
    return {
        "median": float(np.median(errors)),
        "p95": float(np.quantile(errors, 0.95)),
        "worst": float(errors.max()),
        "again": float(np.quantile(again, 0.95)),
    }


def _bars(rows: Sequence[Row]) -> list[str]:
    found = summary(rows)
    bars = (("median error", "median", MEDIAN_MAX), ("95th percentile", "p95", P95_MAX), ("again", "again", AGAIN_MAX))
    said = [f"{name} {found[key]:.1%} ({_verdict(found[key] <= most)}: at most {most:.0%})" for name, key, most in bars]
    return [f"Over all {len(rows)} sets, both tables: {', '.join(said)}."]


def _promises(jobs: Sequence[Row]) -> list[str]:
    if not jobs:
        return ["Jobs: none was looked at; give the rows of `benchmarks.depth` by --depth-rows."]
    kept = sum(map(honest, jobs)) / len(jobs)
    slower = sum(row["measured_ratio_low"] > 1 for row in jobs)
    apart = np.abs([row["reported_ratio"] / row["measured_ratio"] - 1 for row in jobs])
    return [
        f"Jobs: {kept:.0%} of {len(jobs)} are within 2 % of the asked ratio, better, or said to have missed it "
        f"({_verdict(kept >= HONEST_LEAST)}: at least {HONEST_LEAST:.0%}); {slower} delivered a surely slower file "
        f"({_verdict(not slower)}: none).",
        f"What they reported is {np.median(apart):.1%} from what was measured outside of them, in 95 % of them at most "
        f"{np.quantile(apart, 0.95):.1%}.",
    ]


def _errors(rows: Sequence[Row]) -> Iterable[list[str]]:
    for key in dict.fromkeys((row["model"], row["beside"]) for row in rows):
        chosen = [row for row in rows if (row["model"], row["beside"]) == key]
        found = summary(chosen)
        yield [*key, str(len(chosen)), *(f"{found[name]:.1%}" for name in ("median", "p95", "worst", "again"))]


def _kinds(kinds: Sequence[Row]) -> Iterable[list[str]]:
    for row in kinds:
        share = f"{row['share']:.2%} ({row['low']:.2%} to {row['high']:.2%})"
        yield [row["model"], str(row["units"]), row["first"], share]


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"
