"""The wall-clock budget of a job: each step may take a part of it, and none more than is useful to it."""

from __future__ import annotations

import copy
import time

LEAST = 0.01
"""The part of the budget that a measurement may take even when all of it is spent: no figure, no report."""


class Clock:
    """Counts down from the moment it is made. `share`, 0 to 1, is the part of the work that it is for."""

    share = 1.0

    def __init__(self, budget_seconds: float) -> None:
        self.budget_seconds, self._end = budget_seconds, time.monotonic() + budget_seconds

    def part(self, share: float, at_most_seconds: float) -> float:
        """Return the seconds that a step may take: a share of the budget, within what is left of it."""
        wished = min(share * self.budget_seconds, at_most_seconds)
        return min(wished, max(self.left(), LEAST * self.budget_seconds))

    def within(self, share: float) -> Clock:
        """Return a clock of the same budget that ends earlier: with this share, 0 to 1, of what is left now."""
        earlier = copy.copy(self)
        earlier._end -= (1 - share) * max(self.left(), 0.0)
        earlier.share *= share
        return earlier

    def left(self) -> float:
        """Return the seconds until the budget is spent; below zero once it is."""
        return self._end - time.monotonic()

    def overrun(self) -> float:
        """Return the seconds by which the budget is overrun; 0 while it is not."""
        return max(-self.left(), 0.0)
