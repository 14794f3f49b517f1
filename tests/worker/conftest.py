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

from core import jobs
from core.db import Database
from core.logging import configure_logging
from core.settings import Settings
from core.storage import Storage
from core.tables import Job, JobState
from engine.recipe import Recipe
from tests.conftest import make_settings
from tests.core.samples import MODEL_ID, PROJECT_ID, add_model, read_job
from worker.run_job import run_next
from worker.sandbox import Program
from worker.slots import Slot
from worker.workplace import Workplace

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
