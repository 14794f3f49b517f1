"""What a project may have: limits of its own, bounded by its organisation's, against what it has now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select, union
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.db import utc_now
from core.tables import Artifact, ComputeUsage, Dataset, Job, Limited, Organization, Project, StoredModel, Upload

LIMITS: Final = (
    "stored_bytes",
    "jobs_waiting",
    "jobs_running",
    "compute_seconds_per_month",
    "requests_per_minute",
    "retention_days",
)
"""The names as clients know them; a column is called `max_` and the name."""

WAITING: Final = ("submitted", "validating", "queued")
RUNNING: Final = ("running", "finalizing", "cancelling", "pausing")
DEVICES: Final = ("cpu", "gpu")  # named so that counting walks the index `jobs_to_claim`


class QuotaExceeded(Exception):
    """The project has as much of something as it may have."""

    def __init__(self, name: str, limit: int, found: float, detail: str) -> None:
        super().__init__(detail)
        self.name, self.limit, self.found = name, limit, found


def said(row: Limited) -> dict[str, int | None]:
    """Return the limits that a row itself sets."""
    return {name: getattr(row, f"max_{name}") for name in LIMITS}


def stricter(one: int | None, other: int | None) -> int | None:
    """Return the smaller of two limits; None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def in_force(name: str) -> ColumnElement[int | None]:
    """Return a limit as SQL, over a join of projects and organisations: the stricter of the two."""
    one, other = getattr(Project, f"max_{name}"), getattr(Organization, f"max_{name}")
    return case((one.is_(None), other), (other.is_(None), one), (one < other, one), else_=other)


def limits_of(session: Session, project_id: str) -> dict[str, int | None]:
    """Return every limit in force for a project."""
    columns = [in_force(name).label(name) for name in LIMITS]
    found = select(*columns).join(Organization, Organization.id == Project.organization_id)
    return dict(session.execute(found.where(Project.id == project_id)).one()._mapping)


def bytes_left(session: Session, project_id: str) -> int | None:
    """Return how many more bytes the project may store, 0 or more; None without a limit.

    With a limit the project's row stays locked until the transaction ends, so that two at once are counted.
    """
    limit = limits_of(session, project_id)["stored_bytes"]
    if limit is None:
        return None
    _lock(session, project_id)
    return max(0, limit - stored_bytes(session, project_id))


def check_job(session: Session, project_id: str) -> None:
    """Raise QuotaExceeded where the project may have no further job now; holds its row as `bytes_left` does."""
    limits = limits_of(session, project_id)
    most_waiting, most_seconds = limits["jobs_waiting"], limits["compute_seconds_per_month"]
    if most_waiting is None and most_seconds is None:
        return
    _lock(session, project_id)
    if most_waiting is not None and (waiting := jobs_in(session, project_id, WAITING)) >= most_waiting:
        detail = f"{waiting} jobs of the project wait, and {most_waiting} may. Wait until one has begun, or cancel one."
        raise QuotaExceeded("jobs_waiting", most_waiting, waiting, detail)
    if most_seconds is not None and (used := compute_seconds(session, project_id)) >= most_seconds:
        detail = f"The project's jobs have run for {used:.0f} s of the {most_seconds} s that it has this month."
        raise QuotaExceeded("compute_seconds_per_month", most_seconds, used, detail)


def stored_bytes(session: Session, project_id: str) -> int:
    """Count the project's bytes, the same bytes once, and what uploads that are under way have declared."""
    kept = [
        select(table.sha256, table.size_bytes).where(table.project_id == project_id, table.sha256.is_not(None))
        for table in (StoredModel, Dataset, Artifact, Upload)
    ]
    files = union(*kept).subquery()
    coming = select(func.sum(func.coalesce(Upload.size_bytes, Upload.offset_bytes)))
    coming = coming.where(Upload.project_id == project_id, Upload.sha256.is_(None))
    stored = session.scalar(select(func.sum(files.c.size_bytes)))
    return int(stored or 0) + int(session.scalar(coming) or 0)


def jobs_in(session: Session, project_id: str, states: tuple[str, ...]) -> int:
    """Count the project's jobs in some states."""
    return session.scalar(select(func.count()).where(*_jobs_in(project_id, states))) or 0


def compute_seconds(session: Session, project_id: str) -> float:
    """Return how long workers have held the project's running jobs this month, those that run now included."""
    now = utc_now(session)
    this_month = ComputeUsage.project_id == project_id, ComputeUsage.month == month_of(now)
    ended = session.scalar(select(func.sum(ComputeUsage.seconds)).where(*this_month)) or 0.0
    running = select(Job.running_at).where(*_jobs_in(project_id, RUNNING))
    begun = [at for at in session.scalars(running) if at is not None]
    return float(ended) + sum((now - at).total_seconds() for at in begun)


def count_compute(session: Session, job: Job, started_at: datetime, now: datetime) -> None:
    """Add the time of an attempt that ends now, if it ran the job: inspections are free."""
    if job.running_at != started_at:
        return
    month, seconds = month_of(now), max(0.0, (now - started_at).total_seconds())
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    row = dialect.insert(ComputeUsage).values(
        project_id=job.project_id, month=month, device=job.device, seconds=seconds, attempts=1
    )
    more = {"seconds": ComputeUsage.seconds + seconds, "attempts": ComputeUsage.attempts + 1}
    session.execute(row.on_conflict_do_update(index_elements=["project_id", "month", "device"], set_=more))


def month_of(moment: datetime) -> str:
    return f"{moment:%Y-%m}"


def usage(session: Session, project_id: str) -> Mapping[str, Any]:
    """Return what the project has now, under the names of its limits."""
    return {
        "stored_bytes": stored_bytes(session, project_id),
        "jobs_waiting": jobs_in(session, project_id, WAITING),
        "jobs_running": jobs_in(session, project_id, RUNNING),
        "compute_seconds_per_month": round(compute_seconds(session, project_id), 1),
    }


def _jobs_in(project_id: str, states: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    return Job.project_id == project_id, Job.state.in_(states), Job.device.in_(DEVICES)


def _lock(session: Session, project_id: str) -> None:
    session.get(Project, project_id, with_for_update={"key_share": True})
