"""How long a job that nobody has submitted yet would wait: what stands before it, each priced by its own recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from app.jobs.view import NOBODY, loads
from core.jobs.forecast import DELIVERY_SECONDS
from core.limits import RUNNING, WAITING
from core.queries import workers_statement
from core.tables import Job

# A budget is read from the recipe only where no forecast was kept: a recipe can hold a whole latency table.
_limit: Final = func.coalesce(
    Job.forecast["limit_seconds"].as_float(), Job.recipe["budget_seconds"].as_float() + DELIVERY_SECONDS, 0.0
)
_is_running: Final = Job.state.in_(RUNNING)


class Wait(NamedTuple):
    """Seconds until the job would begin, middle and late, None where nobody serves its device; its place, from 1."""

    p50: float | None
    p90: float | None
    position: int
    is_served: bool


class Work(NamedTuple):
    """Jobs, and the seconds that they take one after another: half of the time, and if each of them is late."""

    jobs: int
    middle_seconds: float
    late_seconds: float

    def first(self, jobs: int) -> Work:
        """Return so many of them, each at the mean price of all."""
        part = min(jobs, self.jobs) / max(self.jobs, 1)
        return Work(min(jobs, self.jobs), self.middle_seconds * part, self.late_seconds * part)


def wait_for(session: Session, project_id: str, device: str) -> Wait:
    """Guess when a job submitted now would begin.

    It begins, at the latest, when every slot has done an equal share of all that stands before it: Graham, "Bounds on
    Multiprocessing Timing Anomalies", 1969.
    """
    slots = loads(workers_statement().all(session), ()).get(device, NOBODY).slots
    rows = session.execute(_work(device)).all()
    running = _sum(_of(row) for row in rows if row.state in RUNNING)
    ahead = _ahead([(row.project_id, _of(row)) for row in rows if row.state in WAITING], project_id)
    if not slots:
        return Wait(None, None, ahead.jobs + 1, is_served=False)
    before = _sum((running, ahead))
    share = 0.0 if before.jobs < slots else 1 / slots
    middle, late = before.middle_seconds * share, before.late_seconds * share
    return Wait(round(middle, 1), round(max(middle, late), 1), ahead.jobs + 1, is_served=True)


def _ahead(waiting: Iterable[tuple[str, Work]], project_id: str) -> Work:
    """Add up the jobs that would be served first: projects take turns, so of each other one no more than of ours."""
    lines: dict[str, Work] = {}
    for owner, work in waiting:
        lines[owner] = _sum((lines.get(owner, Work(0, 0.0, 0.0)), work))
    ours = lines.pop(project_id, Work(0, 0.0, 0.0))
    return _sum((ours, *(line.first(ours.jobs) for line in lines.values())))


def _work(device: str) -> Select[*tuple[Any, ...]]:
    """Select, of each project and state, the jobs of a device that wait or run, and the seconds that they still take.

    A job that runs tells by itself what is left of it, or else is taken to be half done and, late, to have just begun.
    """
    budget = case((_limit > DELIVERY_SECONDS, _limit - DELIVERY_SECONDS), else_=0.0)
    middle, late = _of_past_jobs(0, unknown=budget), _of_past_jobs(1, unknown=_limit)
    left = case((_is_running, func.coalesce(Job.eta_seconds, middle / 2)), else_=middle)
    left_late = case((_is_running, func.coalesce(Job.eta_p90_seconds, late)), else_=late)
    sums = (func.sum(left).label("middle_seconds"), func.sum(left_late).label("late_seconds"))
    counted = select(Job.project_id, Job.state, func.count().label("jobs"), *sums)
    chosen = counted.where(Job.state.in_((*WAITING, *RUNNING)), Job.device == device)
    return chosen.group_by(Job.project_id, Job.state)


def _of_past_jobs(place: int, *, unknown: ColumnElement[float]) -> ColumnElement[float]:
    """Return what past jobs of its kind took when a job was submitted, though no more than it may take itself."""
    taken = Job.forecast[("run", place)].as_float()
    return case((taken.is_(None), unknown), (taken > _limit, _limit), else_=taken)


def _of(row: Any) -> Work:
    return Work(int(row.jobs), float(row.middle_seconds), float(row.late_seconds))


def _sum(parts: Iterable[Work]) -> Work:
    found = list(parts)
    middle, late = (sum(part[place] for part in found) for place in (1, 2))
    return Work(sum(part.jobs for part in found), middle, late)
