"""How long a job waits: what stands before it in its device's line, each at its price. Reads nothing.

A job's price is what it was expected to take when it was submitted, see `core.jobs.forecast.price`. Jobs of the same
project count at their own; of another project, of which only a part goes first, at the mean of its jobs that wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from core.jobs.forecast import Guess


class Work(NamedTuple):
    """Jobs, and the seconds that they take one after another: half of the time, and if each of them is late."""

    jobs: int
    middle_seconds: float
    late_seconds: float

    def first(self, jobs: int) -> Work:
        """Return so many of them, each at the mean price of all."""
        part = min(jobs, self.jobs) / max(self.jobs, 1)
        return Work(min(jobs, self.jobs), self.middle_seconds * part, self.late_seconds * part)


NOTHING = Work(0, 0.0, 0.0)


@dataclass(frozen=True)
class Line:
    """What a device has in hand, what waits for it of other projects, by project, and how many processes take jobs."""

    slots: int = 0
    running: Work = NOTHING
    others: Mapping[str, Work] = field(default_factory=dict)

    def before(self, own: Work, other_jobs: int | None = None) -> Work:
        """Return what waits before a job of a project that stands behind `own` work of its project.

        Projects take turns, so of each other one no more goes before than of its own; or `other_jobs` in all, where
        the place in the queue has told how many. Which of theirs those are is not read: they count at the mean price
        of their project's jobs that wait or, where the place tells of more, of all other projects'.
        """
        theirs = together(line.first(own.jobs) for line in self.others.values())
        if other_jobs is not None:
            theirs = (theirs if theirs.jobs >= other_jobs else together(self.others.values())).first(other_jobs)
        return together((own, theirs))

    def wait(self, before: Work) -> Guess:
        """Guess when a job behind this work begins; without a slot nobody can say.

        It begins, at the latest, when every slot has done an equal share of all that stands before it: Graham, "Bounds
        on Multiprocessing Timing Anomalies", 1969.
        """
        if not self.slots:
            return Guess(None, None)
        ahead = together((self.running, before))
        share = 0.0 if ahead.jobs < self.slots else 1 / self.slots
        middle, late = ahead.middle_seconds * share, ahead.late_seconds * share
        return Guess(round(middle, 1), round(max(middle, late), 1))


def together(parts: Iterable[Work]) -> Work:
    """Add up work."""
    found = list(parts)
    middle, late = (sum(part[place] for part in found) for place in (1, 2))
    return Work(sum(part.jobs for part in found), middle, late)
