"""What a metric is: its name and unit, who shows it, and which labels it may have. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["web", "worker", "sender", "any"]

OTHER = "other"
"""Stands for label values that are not in a metric's table, so that no stranger makes series without end."""


@dataclass(frozen=True)
class Metric:
    """One line of the table.

    `shown_by` says which processes have it. With `known`, these combinations of label values are there from the start,
    at zero, and what is none of them is counted as `other`; without, the caller answers for how many there are.
    """

    name: str
    kind: Kind
    shown_by: Process
    told: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def samples(self) -> tuple[str, ...]:
        """Return the names by which a query finds it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)
