"""The road of a job: the engine's stages in their order, each ending where the next one starts."""

from __future__ import annotations

import asyncio
from typing import Any

from app.dashboard.job_view import STAGES, Step, view_job
from app.services import Services
from core import jobs
from engine import progress
from tests.app.dashboard.samples import LIMITS, add_model, beat, start_job, submit_job


def road_of(services: Services, job_id: str) -> dict[str, Step]:
    context: dict[str, Any] = asyncio.run(view_job(services.database, job_id))
    return {step.name: step for step in context["road"]}


def test_the_stages_are_the_engines() -> None:
    assert tuple(progress.STAGES) == STAGES


def test_a_stage_is_over_when_the_next_one_starts(services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    for fraction, stage in enumerate(("load", "normalise", "images")):
        beat(services.database, claim, stage, fraction / 100)

    road = road_of(services, job_id)

    assert tuple(road) == STAGES
    assert [road[name].status for name in STAGES[:4]] == ["done", "done", "now", "next"]
    assert (road["load"].seconds or 0) >= 0
    assert road["images"].seconds is None


def test_another_attempt_walks_the_road_anew(services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    beat(services.database, claim, "score", 0.3)
    services.database.do(lambda session: jobs.release(session, claim, LIMITS))
    with services.database.transaction() as session:
        again = jobs.claim(session, worker_id="wrk_2", devices=["cpu"], lease_seconds=60, job_id=job_id)
    assert again is not None
    beat(services.database, again, "load", 0.31)

    road = road_of(services, job_id)

    assert (road["load"].status, road["score"].status) == ("now", "next")


def test_a_failed_job_stopped_where_it_was(services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    beat(services.database, claim, "load", 0.01)
    error = {"code": "x", "title": "x"}
    services.database.do(lambda session: jobs.fail(session, claim, error))

    assert road_of(services, job_id)["load"].status == "stopped"
