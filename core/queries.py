"""What the web process and the worker read, each statement once. Every one that a client reaches names the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, func, literal, or_, select, union_all
from sqlalchemy.orm import aliased

from core.db import Query
from core.jobs.forecast import price_in_rows
from core.jobs.order import AHEAD, files_are_known, numbered, queue_position
from core.limits import DEVICES, RUNNING, WAITING
from core.tables import (
    ApiKey,
    Artifact,
    Attempt,
    Dataset,
    Deletion,
    Event,
    Examination,
    Job,
    JobLabel,
    Organization,
    Outbox,
    Project,
    SigningKey,
    StoredModel,
    WebhookDelivery,
    Worker,
)

LAST_JOB_ID: Final = "job_" + "z" * 26
"""Sorts after every job: the start of the newest page."""


def _given(column: Any, name: str) -> ColumnElement[bool]:
    return column == bindparam(name)  # type: ignore[no-any-return]  # comparing columns is typed Any for a bare column


QUEUE_POSITION: Final = queue_position()
"""1 for the job of its device that is next; null once a job runs."""

_UNSHOWN: Final = {"report", "last_seq", "eta_samples", "traceparent", "price_seconds", "price_late_seconds"}

_PLAIN: Final = tuple(column for column in Job.__table__.columns if column.name not in _UNSHOWN)
_JOB_COLUMNS: Final = (*_PLAIN, QUEUE_POSITION)
"""All that a status shows: everything but the report, which is big and has its own address."""


def _page_of_jobs(project_id: ColumnElement[str], *wanted: ColumnElement[bool], limit: Any) -> Select[Any]:
    """Select a page of one project's jobs, newest first; their places in the queue are found together."""
    page = select(Job.id, Job.state).where(Job.project_id == project_id, *wanted).order_by(Job.id.desc()).limit(limit)
    chosen = page.cte("page").prefix_with("MATERIALIZED")
    numbers = numbered(project_id, chosen)
    shown = (*_PLAIN, queue_position(numbers), *(numbers.c[name] for name in AHEAD))
    jobs = select(*shown).join_from(chosen, Job, Job.id == chosen.c.id)
    return jobs.outerjoin(numbers, numbers.c.id == Job.id).order_by(Job.id.desc())


job_statement: Final = Query(
    select(*_JOB_COLUMNS).where(_given(Job.project_id, "project_id"), _given(Job.id, "job_id"))
)

job_version_statement: Final = Query(
    select(Job.version, Job.state, Job.last_seq).where(_given(Job.project_id, "project_id"), _given(Job.id, "job_id"))
)
"""The cheapest look at a job: has anything changed?"""

job_files_statement: Final = Query(
    select(
        *(column for column in Job.__table__.columns if column.name != "eta_samples"),
        StoredModel.name.label("model_name"),
        StoredModel.sha256.label("model_sha256"),
        StoredModel.size_bytes.label("model_size_bytes"),
        Dataset.name.label("dataset_name"),
        Dataset.sha256.label("dataset_sha256"),
        Dataset.size_bytes.label("dataset_size_bytes"),
    )
    .join(StoredModel, StoredModel.id == Job.model_id)
    .outerjoin(Dataset, Dataset.id == Job.dataset_id)
    .where(_given(Job.project_id, "project_id"), _given(Job.id, "job_id"))
)
"""Everything of one job, report and all, with the files that it was made from."""

signing_keys_statement: Final = Query(select(*SigningKey.__table__.columns).order_by(SigningKey.created_at.desc()))

job_report_statement: Final = Query(
    select(Job.report, Job.state).where(_given(Job.project_id, "project_id"), _given(Job.id, "job_id"))
)

_PROJECT_ID: Final[ColumnElement[str]] = bindparam("project_id", type_=String)
_BEFORE: Final = Job.id < bindparam("before")

jobs_page_statement: Final = Query(
    _page_of_jobs(_PROJECT_ID, _BEFORE, limit=bindparam("limit")), {"before": LAST_JOB_ID}
)
"""A project's jobs, newest first, before a job's id."""

jobs_in_state_statement: Final = Query(
    _page_of_jobs(_PROJECT_ID, _BEFORE, _given(Job.state, "state"), limit=bindparam("limit")), {"before": LAST_JOB_ID}
)
"""The same of one state: a statement for both would be planned for neither."""


def labelled_jobs(project_id: str, *, labels: Mapping[str, str], before: str, state: str, limit: int) -> Select[Any]:
    """Select a project's jobs that have all these labels, newest first, before a job's id; `state` empty for all."""
    wanted = [Job.id < before, *([Job.state == state] if state else [])]
    for name, value in labels.items():
        label = aliased(JobLabel)
        mine = (label.project_id == project_id, label.name == name, label.value == value)
        wanted.append(Job.id.in_(select(label.job_id).where(*mine)))
    return _page_of_jobs(literal(project_id), *wanted, limit=limit)


receipt_statement: Final = Query(
    select(*Deletion.__table__.columns).where(
        _given(Deletion.project_id, "project_id"), _given(Deletion.job_id, "job_id")
    )
)

events_statement: Final = Query(
    select(Event.seq, Event.at, Event.type, Event.data)
    .join(Job, Job.id == Event.job_id)
    .where(_given(Job.project_id, "project_id"), _given(Event.job_id, "job_id"), Event.seq > bindparam("after"))
    .order_by(Event.seq)
    .limit(bindparam("limit")),
    {"after": 0, "limit": 500},
)

attempts_statement: Final = Query(
    select(*Attempt.__table__.columns)
    .join(Job, Job.id == Attempt.job_id)
    .where(_given(Job.project_id, "project_id"), _given(Attempt.job_id, "job_id"))
    .order_by(Attempt.attempt)
)

artifacts_statement: Final = Query(
    select(*Artifact.__table__.columns)
    .where(_given(Artifact.project_id, "project_id"), _given(Artifact.job_id, "job_id"))
    .order_by(Artifact.id)
)

artifact_statement: Final = Query(
    select(*Artifact.__table__.columns).where(
        _given(Artifact.project_id, "project_id"), _given(Artifact.id, "artifact_id")
    )
)

key_statement: Final = Query(
    select(
        *ApiKey.__table__.columns,
        Project.organization_id,
        Project.max_requests_per_minute.label("project_requests"),
        Organization.max_requests_per_minute.label("organization_requests"),
    )
    .join(Project, Project.id == ApiKey.project_id)
    .join(Organization, Organization.id == Project.organization_id)
    .where(_given(ApiKey.public_id, "public_id"))
)


def _work(middle: ColumnElement[float], late: ColumnElement[float]) -> tuple[ColumnElement[Any], ...]:
    sums = (func.coalesce(func.sum(seconds), 0.0) for seconds in (middle, late))
    names = ("middle_seconds", "late_seconds")
    return func.count().label("jobs"), *(column.label(name) for name, column in zip(names, sums, strict=True))


_price, _price_late = price_in_rows()
_left: Final = func.coalesce(Job.eta_seconds, _price / 2)
_left_late: Final = func.coalesce(Job.eta_p90_seconds, _price_late)

running_work_statement: Final = Query(
    select(Job.device, *_work(_left, _left_late)).where(Job.state.in_(RUNNING)).group_by(Job.device)
)
"""What each device has in hand, whoever's it is: how many jobs, and what is left of them.

A job that does not say so itself is taken to be half done and, late, to have just begun.
"""

_prices: Final = _work(_price, _price_late)
# Two ranges of the index, each added up by itself, see `core.jobs.order`.
_of_others = (
    select(Job.device, Job.project_id, *_prices)
    .where(Job.state.in_(WAITING), Job.device.in_(DEVICES), side)
    .group_by(Job.device, Job.project_id)
    for side in (Job.project_id < bindparam("project_id"), Job.project_id > bindparam("project_id"))
)

waiting_work_statement: Final = Query(select(*union_all(*_of_others).subquery("of_others").c))
"""What jobs of other projects wait for each device, by project: what the estimate of a wait needs to know of them."""

_own = and_(_given(Job.project_id, "project_id"), _given(Job.device, "device"), Job.state.in_(WAITING))
_same_priority = and_(_given(Job.priority, "priority"), Job.id < bindparam("job_id"))
_ranges = (select(*_prices).where(_own, one) for one in (Job.priority > bindparam("priority"), _same_priority))
_sooner = union_all(*_ranges).subquery("sooner")
_named = zip(AHEAD, _sooner.c, strict=True)

own_work_statement: Final = Query(select(*(func.sum(column).label(name) for name, column in _named)))
"""What stands ahead of a job in its own project, named as a page of jobs names it."""

workers_statement: Final = Query(select(*Worker.__table__.columns).order_by(Worker.id))

_rested = or_(Job.not_before.is_(None), Job.not_before <= bindparam("now"))

submitted_statement: Final = Query(select(Job.id).where(Job.state == "submitted", _rested, files_are_known()).limit(1))
queued_statement: Final = Query(
    select(Job.id).where(Job.state == "queued", _given(Job.device, "device"), _rested).limit(1)
)
"""Is there anything to claim? Asked often by idle workers, so it takes no lock."""

examination_waits_statement: Final = Query(
    select(Examination.id)
    .where(
        _given(Examination.kind, "kind"),
        or_(
            and_(
                Examination.state == "waiting",
                or_(Examination.not_before.is_(None), Examination.not_before <= bindparam("now")),
            ),
            and_(Examination.state == "running", Examination.lease_expires_at < bindparam("now")),
        ),
    )
    .limit(1)
)
"""Is there anything of this kind to examine, new or left behind by a lost worker?"""

outbox_statement: Final = Query(
    select(Outbox.id, Outbox.payload).order_by(Outbox.id).limit(bindparam("limit")), {"limit": 100}
)

webhook_due_statement: Final = Query(
    select(WebhookDelivery.id)
    .where(WebhookDelivery.state == "pending", WebhookDelivery.next_attempt_at <= bindparam("now"))
    .limit(1)
)
"""Is there anything to deliver? Asked often by an idle sender, so it takes no lock."""

webhook_oldest_due_statement: Final = Query(
    select(func.min(WebhookDelivery.next_attempt_at).label("due_at")).where(
        WebhookDelivery.state == "pending", WebhookDelivery.next_attempt_at <= bindparam("now")
    )
)
"""Since when the message that is due longest is due; null where none is."""
