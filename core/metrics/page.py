"""The lines of docs/operations.md that are printed from the table: every metric, who shows it and what it says."""

from __future__ import annotations

from core.metrics.table import METRICS
from core.metrics.words import Metric

HEAD = "| metric | kind | process | labels | what it says |\n| --- | --- | --- | --- | --- |\n"


def metrics_page() -> str:
    """Return the table in Markdown."""
    return HEAD + "".join(_line(metric) for metric in METRICS)


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {metric.shown_by} | {labels} | {metric.told} |\n"
