"""The wall-clock budget of a job: each step may take a part of it, and none more than is useful to it."""

from __future__ import annotations

import time


class Clock:
    """Counts down from the moment it is made."""

    def __init__(self, budget_seconds: float) -> None:
        self._budget_seconds, self._end = budget_seconds, time.monotonic() + budget_seconds

    def part(self, share: float, at_most_seconds: float) -> float:
        """Return the seconds that a step may take: a share of the whole budget, and no more than is useful to it."""
        return min(share * self._budget_seconds, at_most_seconds)

    def left(self) -> float:
        """Return the seconds until the budget is spent; below zero once it is."""
        return self._end - time.monotonic()
