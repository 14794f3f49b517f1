"""What the dashboard reads beyond `core.queries`: the one place without a filter by project, for the admin sees all.

Every statement walks an index and has a bound: none counts or sorts the whole table of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from core.ids import ALPHABET
from core.limits import DEVICES, LIMITS, in_force
from core.tables import ComputeUsage, Dataset, Job, JobState, Organization, Project, StoredModel, Worker

Rows = Select[*tuple[Any, ...]]

OPEN_STATES = (
    JobState.SUBMITTED,
    JobState.VALIDATING,
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.PAUSING,
    JobState.PAUSED,
    JobState.FINALIZING,
    JobState.CANCELLING,
)
MODELS_SEARCHED = 5000
MODELS_MATCHED = 100

_IN_LISTS = (
    Job.id,
    Job.state,
    Job.outcome,
    Job.error,
    Job.device,
    Job.stage,
    Job.fraction,
    Job.eta_seconds,
    Job.submitted_at,
    Job.running_at,
    Job.finished_at,
    StoredModel.name.label("model_name"),
)


def open_jobs_counted() -> Rows:
    """Count the jobs that are not over, by state and device."""
    counted = select(Job.state, Job.device, func.count().label("jobs"))
    return counted.where(Job.state.in_(OPEN_STATES)).group_by(Job.state, Job.device)


def open_jobs_by_project(project_ids: Sequence[str]) -> Rows:
    """Count the jobs of some projects that are not over, by state."""
    counted = select(Job.project_id, Job.state, func.count().label("jobs"))
    chosen = counted.where(Job.state.in_(OPEN_STATES), Job.device.in_(DEVICES), Job.project_id.in_(project_ids))
    return chosen.group_by(Job.project_id, Job.state)


def compute_by_project(project_ids: Sequence[str], month: str) -> Rows:
    """Add up what the attempts that ended in a month took."""
    added = select(ComputeUsage.project_id, func.sum(ComputeUsage.seconds).label("seconds"))
    chosen = added.where(ComputeUsage.project_id.in_(project_ids), ComputeUsage.month == month)
    return chosen.group_by(ComputeUsage.project_id)


def projects(*, before: str | None, limit: int) -> Rows:
    """Select projects with their organisations and the limits in force, newest first, before an id."""
    limits = (in_force(name).label(name) for name in LIMITS)
    page = select(Project.id, Project.name, Organization.name.label("organization_name"), *limits)
    page = page.join(Organization, Organization.id == Project.organization_id)
    if before is not None:
        page = page.where(Project.id < before)
    return page.order_by(Project.id.desc()).limit(limit)


def workers(limit: int = 50) -> Rows:
    """Select the workers seen last, with the job that each has in hand."""
    named = select(*Worker.__table__.columns, StoredModel.name.label("model_name"), Job.fraction, Job.state)
    joined = named.outerjoin(Job, Job.id == Worker.job_id).outerjoin(StoredModel, StoredModel.id == Job.model_id)
    return joined.order_by(Worker.seen_at.desc()).limit(limit)


def ends_since(moment: datetime, limit: int) -> Rows:
    """Select state and outcome of the jobs submitted since a moment, newest first."""
    chosen = select(Job.id, Job.state, Job.outcome).where(Job.id >= first_job_id_at(moment))
    return chosen.order_by(Job.id.desc()).limit(limit)


def jobs_page(*, state: str | None, search: str, before: str | None, limit: int) -> Rows:
    """Select one page of jobs, newest first: `before` is the last id of the page before it.

    `search` is the beginning of a job's id, or a part of a model's name among the MODELS_SEARCHED newest models.
    """
    page = select(*_IN_LISTS).join(StoredModel, StoredModel.id == Job.model_id)
    if state is not None:
        page = page.where(Job.state == state)
    if before is not None:
        page = page.where(Job.id < before)
    if search.startswith("job_"):
        page = page.where(Job.id >= search, Job.id < search + "~")
    elif search:
        page = page.where(Job.model_id.in_(_models_named(search)))
    return page.order_by(Job.id.desc()).limit(limit)


def _models_named(part: str) -> Rows:
    newest = select(StoredModel.id, StoredModel.name).order_by(StoredModel.id.desc()).limit(MODELS_SEARCHED).subquery()
    return select(newest.c.id).where(newest.c.name.icontains(part, autoescape=True)).limit(MODELS_MATCHED)


def job(job_id: str) -> Rows:
    """Select everything of one job, with the names of what it is made of."""
    names = (StoredModel.name.label("model_name"), StoredModel.size_bytes.label("model_size_bytes"))
    others = (Dataset.name.label("dataset_name"), Project.name.label("project_name"))
    chosen = select(*Job.__table__.columns, *names, *others).join(StoredModel, StoredModel.id == Job.model_id)
    chosen = chosen.join(Project, Project.id == Job.project_id).outerjoin(Dataset, Dataset.id == Job.dataset_id)
    return chosen.where(Job.id == job_id)


def version(job_id: str) -> Rows:
    """Select what tells that a job has changed, and whether it is over."""
    return select(Job.version, Job.last_seq, Job.state).where(Job.id == job_id)


def first_job_id_at(moment: datetime) -> str:
    """Return an id that sorts before every job of that millisecond or later; the time is an id's first ten digits."""
    return "job_" + _digits(int(moment.timestamp() * 1000), 10)


def submitted_ms(job_id: str) -> int:
    """Read the millisecond of its making from an id."""
    number = 0
    for digit in job_id.removeprefix("job_")[:10]:
        number = number << 5 | ALPHABET.index(digit)
    return number


def _digits(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
