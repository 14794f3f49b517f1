"""Projects take turns, and the place in the queue is the order in which workers are given jobs."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import insert, select

from core import examinations, jobs
from core.db import Database, insert_if_absent, utc_now
from core.ids import new_id
from core.queries import job_statement, jobs_page_statement
from core.tables import Blob, Examination, Job, Project, StoredModel

SEEDS = range(6)


def add_project(database: Database, project_id: str, **limits: int | None) -> None:
    """Write a project with a model."""
    with database.transaction() as session:
        now = utc_now(session)
        insert_if_absent(session, Blob, sha256="0" * 64, size_bytes=4, created_at=now)
        session.add(Project(id=project_id, name=project_id, created_at=now, **limits))
        session.flush()
        file: dict[str, Any] = {"name": "m.onnx", "sha256": "0" * 64, "size_bytes": 4, "created_at": now}
        session.add(StoredModel(id=f"mod_{project_id}", project_id=project_id, **file))


def add_jobs(database: Database, project_id: str, count: int, *, state: str = "queued", **changes: Any) -> list[str]:
    """Write jobs that are to be run, or to be looked at if the state is `submitted`: rows alone, for speed."""
    with database.transaction() as session:
        shared = {
            "project_id": project_id,
            "model_id": f"mod_{project_id}",
            "recipe": {},
            "labels": {},
            "device": "cpu",
            "state": state,
            "submitted_at": utc_now(session),
            **changes,
        }
        made = sorted(new_id("job") for _ in range(count))
        if made:
            session.execute(insert(Job), [{"id": job_id, **shared} for job_id in made])
    return made


def claim_next(database: Database, *, devices: tuple[str, ...] = ("cpu",)) -> jobs.Claim | None:
    """Ask for a job as a free slot of a device does; without a device, as the lane does that looks at models."""
    with database.transaction() as session:
        return jobs.claim(session, worker_id="wrk", devices=devices, lease_seconds=60, validate=not devices)


def end(database: Database, claim: jobs.Claim) -> None:
    with database.transaction() as session:
        jobs.finish(session, claim, outcome="target_met", report={}, delivered=[])


def place_of(database: Database, project_id: str, job_id: str) -> int | None:
    with database.transaction() as session:
        row = job_statement(project_id=project_id, job_id=job_id).one(session)
    assert row is not None
    assert row["queue_position"] is None or isinstance(row["queue_position"], int)
    return row["queue_position"]  # type: ignore[no-any-return]  # a record's values are of any type


def places(database: Database, device: str = "cpu") -> list[str]:
    """Return the ids of the jobs that wait for a device, by the place in the queue that each of them is told."""
    with database.transaction() as session:
        waiting = session.execute(select(Job.project_id, Job.id).where(Job.state == "queued", Job.device == device))
        told = {job_id: job_statement(project_id=mine, job_id=job_id).one(session) for mine, job_id in waiting}
        projects = session.scalars(select(Job.project_id).distinct()).all()
        pages = [row for one in projects for row in jobs_page_statement(project_id=one, limit=99).all(session)]
    found = {row["queue_position"]: job_id for job_id, row in told.items() if row}
    listed = {row["id"]: row["queue_position"] for row in pages if row["id"] in told}
    assert listed == {job_id: place for place, job_id in found.items()}, "a list says the same as each job"
    assert sorted(found) == list(range(1, len(told) + 1)), "every place is taken once"
    return [found[place] for place in sorted(found)]


def test_behind_a_thousand_jobs_of_one_project_anothers_first_job_is_next(database: Database) -> None:
    for project_id in ("prj_many", "prj_one"):
        add_project(database, project_id)
    many = add_jobs(database, "prj_many", 1000)
    running = claim_next(database)
    assert running is not None
    (first,) = add_jobs(database, "prj_one", 1)

    assert place_of(database, "prj_one", first) == 1
    assert place_of(database, "prj_many", many[-1]) == 1000
    end(database, running)
    claim = claim_next(database)

    assert claim is not None
    assert claim.job_id == first


def test_behind_a_thousand_models_to_look_at_anothers_is_looked_at_next(sqlite: Database) -> None:
    for project_id in ("prj_many", "prj_one"):
        add_project(sqlite, project_id)
    add_jobs(sqlite, "prj_many", 1000, state="submitted")
    looked_at = claim_next(sqlite, devices=())
    assert looked_at is not None
    with sqlite.transaction() as session:
        jobs.validated(session, looked_at, {})
    (first,) = add_jobs(sqlite, "prj_one", 1, state="submitted")

    claim = claim_next(sqlite, devices=())

    assert claim is not None
    assert claim.job_id == first


def test_behind_a_thousand_uploads_anothers_is_examined_next(database: Database) -> None:
    for project_id in ("prj_many", "prj_one"):
        add_project(database, project_id)
    ask_for(database, "prj_many", 1000)
    assert examined_next(database) == "mod_prj_many"
    ask_for(database, "prj_one", 2)

    assert [examined_next(database) for _ in range(4)] == ["mod_prj_one", "mod_prj_many", "mod_prj_one", "mod_prj_many"]


def ask_for(database: Database, project_id: str, count: int) -> None:
    """Have a project's model examined, as often as if there were so many of them."""
    with database.transaction() as session:
        shared = {"project_id": project_id, "model_id": f"mod_{project_id}", "kind": "model", "state": "waiting"}
        shared |= {"recipe": {}, "attempt": 0, "trouble_count": 0, "created_at": utc_now(session)}
        rows = [{"id": new_id("exm"), "question": str(number), **shared} for number in range(count)]
        session.execute(insert(Examination), rows)


def examined_next(database: Database) -> str | None:
    with database.transaction() as session:
        claim = examinations.claim(session, worker_id="wrk", kinds=("model",), lease_seconds=60)
        assert claim is not None
        return session.get_one(Examination, claim.examination_id).model_id


def a_situation(database: Database, seed: int) -> None:
    """Draw projects with limits, jobs that run, jobs that have ended, and jobs with priorities that wait."""
    chance = random.Random(seed)
    for number in range(4):
        limit = chance.choice([None, None, 0, 1, 3])
        add_project(database, f"prj_{number}", max_jobs_running=limit)
    for _ in range(6):
        for number in chance.sample(range(4), 2):
            for _ in range(chance.randint(0, 2)):
                device = chance.choice(["cpu", "cpu", "cpu", "gpu"])
                add_jobs(database, f"prj_{number}", 1, device=device, priority=chance.choice([0, 0, 5, -5]))
        claim = claim_next(database)
        if claim is not None and chance.random() < 0.5:
            end(database, claim)


@pytest.mark.parametrize("seed", SEEDS)
def test_jobs_start_in_the_order_of_their_places(sqlite: Database, seed: int) -> None:
    """As long as no job ends and none is added; those over their project's limit stand at the end and do not start."""
    a_situation(sqlite, seed)
    expected = places(sqlite)

    started = []
    while (claim := claim_next(sqlite)) is not None:
        started.append(claim.job_id)
        if len(started) == 2:
            assert places(sqlite) == expected[2:]

    assert started == expected[: len(started)]
    assert places(sqlite) == expected[len(started) :]


def test_the_order_is_the_same_on_the_other_database(database: Database) -> None:
    a_situation(database, seed=3)
    expected = places(database)

    started = []
    while (claim := claim_next(database)) is not None:
        started.append(claim.job_id)

    assert started
    assert started == expected[: len(started)]


def test_slots_go_to_the_project_that_has_the_fewest(sqlite: Database) -> None:
    """Four long jobs of one project run; the next four slots are the other's, then they take turns."""
    for project_id in ("prj_early", "prj_late"):
        add_project(sqlite, project_id)
    add_jobs(sqlite, "prj_early", 10)
    for _ in range(4):
        claim_next(sqlite)
    add_jobs(sqlite, "prj_late", 10)

    owners = [claim.project_id for _ in range(8) if (claim := claim_next(sqlite))]

    assert owners[:4] == ["prj_late"] * 4
    assert Counter(owners[4:]) == {"prj_early": 2, "prj_late": 2}


def test_a_project_at_its_limit_waits_for_one_of_its_own(sqlite: Database) -> None:
    add_project(sqlite, "prj_narrow", max_jobs_running=1)
    narrow = add_jobs(sqlite, "prj_narrow", 2)
    running = claim_next(sqlite)
    assert running is not None

    assert claim_next(sqlite) is None
    end(sqlite, running)

    claim = claim_next(sqlite)
    assert claim is not None
    assert claim.job_id == narrow[1]


def test_slots_that_fall_free_at_once_are_shared(database: Database) -> None:
    for project_id in ("prj_0", "prj_1", "prj_2", "prj_3"):
        add_project(database, project_id)
        add_jobs(database, project_id, 4)
    owners: list[str] = []

    def work() -> None:
        claim = claim_next(database)
        assert claim is not None
        owners.append(claim.project_id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(Counter(owners).values()) == {2}
