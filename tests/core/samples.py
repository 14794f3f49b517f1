"""Rows that a job needs before it can be: a project, a blob and a model."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from core import jobs
from core.db import Database, insert_if_absent, utc_now
from core.tables import Blob, Job, JobState, Project, StoredModel

PROJECT_ID = "prj_test"
MODEL_ID = "mod_test"
WORKER_ID = "wrk_test"
LIMITS = jobs.Limits(crash_limit=3, interrupt_limit=2, retry_seconds=0.0)


def add_model(session: Session, sha256: str = "0" * 64, size_bytes: int = 4) -> None:
    """Write the rows of one project with one model, whose bytes are in no store."""
    now = utc_now(session)
    insert_if_absent(session, Project, id=PROJECT_ID, name="test", created_at=now)
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
    insert_if_absent(
        session,
        StoredModel,
        id=MODEL_ID,
        project_id=PROJECT_ID,
        name="model.onnx",
        sha256=sha256,
        size_bytes=size_bytes,
        created_at=now,
    )


def submit_job(database: Database, **changes: Any) -> str:
    """Submit a job on the sample model and return its id."""
    values: dict[str, Any] = {"recipe": {}, "labels": {}, "device": "cpu", "dataset_id": None, **changes}
    with database.transaction() as session:
        add_model(session)
        return jobs.submit(session, project_id=PROJECT_ID, model_id=MODEL_ID, **values).id


def claim_job(database: Database, **wish: Any) -> jobs.Claim:
    """Claim a job that must be there."""
    with database.transaction() as session:
        claim = jobs.claim(session, **{"worker_id": WORKER_ID, "devices": ["cpu"], "lease_seconds": 60, **wish})
    assert claim is not None
    return claim


def running_claim(database: Database, **wish: Any) -> jobs.Claim:
    """Submit a job and bring it to `running`."""
    job_id = submit_job(database)
    with database.transaction() as session:
        inspection = jobs.claim(session, worker_id=WORKER_ID, devices=[], lease_seconds=60, job_id=job_id)
        assert inspection is not None
        jobs.validated(session, inspection, {"parameters": 1})
    return claim_job(database, job_id=job_id, **wish)


def read_job(database: Database, job_id: str) -> Job:
    """Read a job's row, report and all."""
    with database.transaction() as session:
        job = session.get_one(Job, job_id)
        assert job.report is None or isinstance(job.report, dict)  # deferred columns are read while the session lives
        session.expunge(job)
        return job


def state_of(database: Database, job_id: str) -> JobState:
    return JobState(read_job(database, job_id).state)
