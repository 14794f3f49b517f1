"""A workplace with a fake engine, and jobs whose "model" tells that engine how to behave."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import examinations, jobs
from core.db import Database, utc_now
from core.logging import configure_logging
from core.queries import events_statement
from core.settings import Settings
from core.storage import Storage
from core.tables import Dataset, FileState, Job, JobState, StoredModel
from engine.recipe import Recipe
from tests.conftest import make_settings
from tests.core.samples import MODEL_ID, PROJECT_ID, add_model, read_job
from worker.run_job import run_next
from worker.sandbox import Program
from worker.slots import Slot
from worker.workplace import Workplace

DATASET_ID = "dat_test"
FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")


def fake_engine() -> Program:
    return Program((sys.executable, "-I", str(FAKE_ENGINE)), (FAKE_ENGINE,))


@pytest.fixture(autouse=True, scope="session")
def _plain_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The log of production: structlog's own default draws tracebacks for seconds."""
    configure_logging(make_settings(tmp_path_factory.mktemp("log")))
    yield
    logging.getLogger().handlers.clear()


@pytest.fixture
def place(sqlite_settings: Settings) -> Iterator[Workplace]:
    quick = sqlite_settings.model_copy(update={"stop_grace_seconds": 1.0})
    place = Workplace.open(quick, fake_engine())
    yield place
    place.close()


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot("cpu", None, tmp_path / "cpu-slot")


def submit(database: Database, storage: Storage, folder: Path, **behaviour: str) -> str:
    """Store a "model" that makes the fake engine behave so, submit a job on it and return its id."""
    content = json.dumps(behaviour).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / "incoming.onnx"
    path.write_bytes(content)
    storage.put_file(path, sha256)
    recipe: dict[str, Any] = Recipe(budget_seconds=10).model_dump(mode="json")
    with database.transaction() as session:
        add_model(session, sha256, len(content))
        job = jobs.submit(
            session, project_id=PROJECT_ID, model_id=MODEL_ID, dataset_id=None, recipe=recipe, labels={}, device="cpu"
        )
    return job.id


def submit_unexamined(place: Workplace, **behaviour: str) -> str:
    """Submit a job whose model and images make the fake engine behave so, and are still to be examined."""
    job_id = submit(place.database, place.storage, place.settings.data_dir, **behaviour)
    with place.database.transaction() as session:
        model = session.get_one(StoredModel, MODEL_ID)
        model.state = FileState.VALIDATING
        images = {"id": DATASET_ID, "project_id": PROJECT_ID, "name": "images.zip", "state": FileState.VALIDATING}
        session.add(Dataset(sha256=model.sha256, size_bytes=model.size_bytes, created_at=utc_now(session), **images))
        session.flush()
        session.get_one(Job, job_id).dataset_id = DATASET_ID
        examinations.ask(session, PROJECT_ID, "model", model_id=MODEL_ID)
        examinations.ask(session, PROJECT_ID, "dataset", dataset_id=DATASET_ID)
    return job_id


def states_of(place: Workplace, job_id: str) -> list[str]:
    """Return the states that a job has been in, from its events."""
    events = place.database.read_all(events_statement(project_id=PROJECT_ID, job_id=job_id))
    return [event["data"]["state"] for event in events if event["type"] == "job.state"]


def work_through(place: Workplace, slot: Slot, **behaviour: str) -> Job:
    """Submit one job, do all the work that there is on this thread, and return the job as it ended."""
    job_id = submit(place.database, place.storage, place.settings.data_dir, **behaviour)
    until(lambda: not (run_next(place) or run_next(place, slot=slot)) and is_over(place.database, job_id))
    return read_job(place.database, job_id)


def is_over(database: Database, job_id: str) -> bool:
    return JobState(read_job(database, job_id).state) in jobs.TERMINAL


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition; a test whose condition does not come fails here."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)
