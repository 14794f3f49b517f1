"""What a project may have: limits of its own, bounded by its organisation's, against what it has now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, String, bindparam, case, exists, func, select, union
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.db import Query, Record, utc_now
from core.tables import Artifact, ComputeUsage, Dataset, Job, Organization, Project, StoredModel, Upload

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

    def __init__(self, name: str, limit: int, detail: str) -> None:
        super().__init__(detail)
        self.name, self.limit = name, limit


def stricter(one: int | None, other: int | None) -> int | None:
    """Return the smaller of two limits; None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def in_force(name: str) -> ColumnElement[int | None]:
    """Return a limit as SQL, over a join of projects and organisations: the stricter of the two."""
    one, other = getattr(Project, f"max_{name}"), getattr(Organization, f"max_{name}")
    return case((one.is_(None), other), (other.is_(None), one), (one < other, one), else_=other)


_limits = select(*(in_force(name).label(name) for name in LIMITS)).join_from(
    Project, Organization, Organization.id == Project.organization_id
)
limits_statement: Final = Query(_limits.where(Project.id == bindparam("project_id")))
"""Every limit in force for a project."""

_job_limits_statement: Final = Query(
    select(*(in_force(name).label(name) for name in ("jobs_waiting", "compute_seconds_per_month")))
    .join_from(Project, Organization, Organization.id == Project.organization_id)
    .where(Project.id == bindparam("project_id"))
)

_MINE: Final[ColumnElement[str]] = bindparam("project_id", type_=String)
# Artifacts are the many: counted apart, they are read in the order of `artifacts_by_project`, and nothing is sorted.
_made = select(Artifact.sha256, Artifact.size_bytes).where(Artifact.project_id == _MINE).distinct().subquery("made")
_kept = (
    select(table.sha256, table.size_bytes).where(table.project_id == _MINE, table.sha256.is_not(None))
    for table in (StoredModel, Dataset, Upload)
)
_brought = union(*_kept).subquery("brought")
_is_made_too = exists().where(Artifact.project_id == _MINE, Artifact.sha256 == _brought.c.sha256)
_coming = select(func.sum(func.coalesce(Upload.size_bytes, Upload.offset_bytes))).where(
    Upload.project_id == _MINE, Upload.sha256.is_(None), Upload.error.is_(None)
)
_sums = (select(func.sum(_made.c.size_bytes)), select(func.sum(_brought.c.size_bytes)).where(~_is_made_too), _coming)
_made_bytes, _brought_bytes, _coming_bytes = (func.coalesce(found.scalar_subquery(), 0) for found in _sums)
bytes_statement: Final = Query(select((_made_bytes + _brought_bytes + _coming_bytes).label("bytes")))
"""The project's bytes, the same bytes once, and what uploads that are under way have declared."""


def _jobs_in(states: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    return Job.project_id == _MINE, Job.state.in_(states), Job.device.in_(DEVICES)


waiting_statement: Final = Query(select(func.count().label("jobs")).where(*_jobs_in(WAITING)))
running_statement: Final = Query(select(Job.running_at).where(*_jobs_in(RUNNING)))
compute_statement: Final = Query(
    select(ComputeUsage.device, ComputeUsage.seconds, ComputeUsage.attempts)
    .where(ComputeUsage.project_id == _MINE, ComputeUsage.month == bindparam("month"))
    .order_by(ComputeUsage.device)
)
"""What a month's ended attempts took, by device."""


def limits_of(session: Session, project_id: str) -> Record:
    """Return every limit in force for a project."""
    found = limits_statement(project_id=project_id).one(session)
    assert found is not None
    return found


def bytes_left(session: Session, project_id: str) -> int | None:
    """Return how many more bytes the project may store, 0 or more; None without a limit.

    With a limit the project's row stays locked until the transaction ends, so that two at once are counted.
    """
    limit: int | None = limits_of(session, project_id)["stored_bytes"]
    if limit is None:
        return None
    _lock(session, project_id)
    found = bytes_statement(project_id=project_id).one(session)
    return max(0, limit - int(found["bytes"] if found else 0))


def check_job(session: Session, project_id: str) -> None:
    """Raise QuotaExceeded where the project may have no further job now; holds its row as `bytes_left` does."""
    limits = _job_limits_statement(project_id=project_id).one(session)
    assert limits is not None
    most_waiting, most_seconds = limits["jobs_waiting"], limits["compute_seconds_per_month"]
    if most_waiting is None and most_seconds is None:
        return
    _lock(session, project_id)
    if most_waiting is not None and (waiting := _waiting(session, project_id)) >= most_waiting:
        detail = f"{waiting} jobs of the project wait, and {most_waiting} may. Wait until one has begun, or cancel one."
        raise QuotaExceeded("jobs_waiting", most_waiting, detail)
    if most_seconds is not None and (used := _compute_seconds(session, project_id)) >= most_seconds:
        detail = f"The project's jobs have run for {used:.0f} s of the {most_seconds} s that they may run in a month."
        raise QuotaExceeded("compute_seconds_per_month", most_seconds, detail)


def seconds_so_far(running: Sequence[Record], now: datetime) -> float:
    """Add up how long the jobs that run have been running."""
    return float(sum((now - row["running_at"]).total_seconds() for row in running if row["running_at"] is not None))


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


def _waiting(session: Session, project_id: str) -> int:
    found = waiting_statement(project_id=project_id).one(session)
    return int(found["jobs"]) if found else 0


def _compute_seconds(session: Session, project_id: str) -> float:
    """Return how long workers have held the project's running jobs this month, those that run now included."""
    now = utc_now(session)
    ended = compute_statement(project_id=project_id, month=month_of(now)).all(session)
    running = running_statement(project_id=project_id).all(session)
    return float(sum(row["seconds"] for row in ended)) + seconds_so_far(running, now)


def _lock(session: Session, project_id: str) -> None:
    session.get(Project, project_id, with_for_update={"key_share": True})
