"""The rows that the API is measured on: a key, a model, and jobs half way through their run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.db import open_database, upgrade, utc_now
from core.ids import new_id
from core.jobs import Claim, Progress, beat, claim, submit, validated
from core.keys import ensure_admin_key
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings
from core.tables import Blob, Event, Job, JobState, StoredModel
from engine.recipe import Recipe

RUNNING_JOBS: Final = 20


@dataclass(frozen=True)
class Rows:
    """What a client has: its key, a network, jobs that run; and the claims that a worker has on these."""

    key: str
    model_id: str
    claims: tuple[Claim, ...]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def prepare(settings: Settings) -> Rows:
    """Make the tables and fill them."""
    upgrade(settings)
    database = open_database(settings)
    try:
        key = ensure_admin_key(database, settings)
        assert key is not None
        model_id = database.do(_model)
        return Rows(
            key, model_id, tuple(database.do(lambda session: _run(session, model_id)) for _ in range(RUNNING_JOBS))
        )
    finally:
        database.close()


def empty_queue(settings: Settings) -> None:
    """Remove the jobs that wait, with all that was written with them."""
    database = open_database(settings)
    waiting = select(Job.id).where(Job.state == JobState.SUBMITTED)
    with database.transaction() as session:
        session.execute(delete(Event).where(Event.job_id.in_(waiting)))
        session.execute(delete(Job).where(Job.id.in_(waiting)))
    database.close()


def _model(session: Session) -> str:
    now, sha256, model_id = utc_now(session), "0" * 64, new_id("mod")
    session.add(Blob(sha256=sha256, size_bytes=1, created_at=now))
    session.flush()
    stored = {"name": "m.onnx", "sha256": sha256, "size_bytes": 1, "created_at": now}
    session.add(StoredModel(id=model_id, project_id=DEFAULT_PROJECT_ID, **stored))
    return model_id


def _run(session: Session, model_id: str) -> Claim:
    """Submit a job and let a worker begin it."""
    recipe = Recipe().model_dump(mode="json")
    asked: dict[str, Any] = {"model_id": model_id, "dataset_id": None, "recipe": recipe, "labels": {}, "device": "cpu"}
    submit(session, project_id=DEFAULT_PROJECT_ID, **asked)
    lease: dict[str, Any] = {"worker_id": "bench", "devices": ["cpu"], "lease_seconds": 3600.0}
    validating = claim(session, **lease)
    assert validating is not None
    validated(session, validating, {})
    running = claim(session, **lease)
    assert running is not None
    beat(session, running, Progress("score", 0.31, 120.0, "unit 7 of 25"))
    return running
