"""What past jobs and the queue say of a job that nobody has submitted yet."""

from __future__ import annotations

from statistics import median
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs.service import lines_in
from app.jobs.view import NOBODY, own_work
from core.jobs.forecast import forecast_for, kind_of, price
from core.queries import LAST_JOB_ID, own_work_statement
from core.tables import Job, JobState, StoredModel
from engine.recipe import Recipe

REPORTS_READ: Final = 10


class Past(NamedTuple):
    """What earlier jobs on the same bytes measured, at the same deployment."""

    jobs: int
    original_ms: float | None
    missed_by: float | None  # the middle of delivered latency ratio over asked one


class Times(NamedTuple):
    """Seconds of the run and of the wait before it, each middle and late; None where nothing is known."""

    run: tuple[float | None, float | None]
    queue: tuple[float | None, float | None]
    position: int
    past_jobs: int
    served: bool


def on_this_model(session: Session, project_id: str, model: StoredModel, recipe: Recipe) -> Past:
    """Read the reports of the newest jobs on the same bytes."""
    twins = select(StoredModel.id).where(StoredModel.project_id == project_id, StoredModel.sha256 == model.sha256)
    ended = select(Job.recipe, Job.report).where(
        Job.project_id == project_id, Job.model_id.in_(twins), Job.state == JobState.SUCCEEDED
    )
    found = session.execute(ended.order_by(Job.id.desc()).limit(REPORTS_READ)).all()
    deploy = recipe.deploy.model_dump(mode="json")
    measured, missed = [], []
    for asked, report in found:
        latency = (report or {}).get("latency")
        if not latency or asked.get("deploy") != deploy:
            continue
        measured.append(float(latency["original"]["latency_ms_p50"]))
        wanted = asked.get("target", {}).get("latency_ratio")
        if wanted:
            missed.append(float(latency["ratio"]["value"]) / wanted)
    return Past(len(found), median(measured) if measured else None, median(missed) if missed else None)


def times(
    session: Session,
    project_id: str,
    model_id: str,
    recipe: Recipe,
    *,
    device: str,
    has_images: bool,
    priority: int,
) -> Times:
    """Guess when such a job would begin and how long it would run."""
    asked: dict[str, Any] = recipe.model_dump(mode="json")
    like = Job(project_id=project_id, model_id=model_id, recipe=asked)
    like.kind = kind_of(asked, device, has_images=has_images)
    forecast = forecast_for(session, like)
    line = lines_in(session, project_id).get(device, NOBODY)
    newest = own_work_statement(project_id=project_id, device=device, priority=priority, job_id=LAST_JOB_ID)
    before = line.before(own_work(newest.all(session)[0]))
    wait, past_jobs = line.wait(before), int(forecast["jobs"])
    middle, late = price(forecast)  # without past jobs the budget: most of it goes into the repair
    run = round(middle, 1), round(late, 1)
    return Times(run, wait, before.jobs + 1, past_jobs, served=line.slots > 0)
