"""Examinations: each is made by one worker at a time, survives its worker, and settles the state of its file."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from core import examinations, jobs
from core.db import Database, utc_now
from core.limits import QuotaExceeded
from core.problems import job_problem
from core.queries import submitted_statement
from core.tables import Dataset, Examination, FileState, StoredModel
from tests.core.samples import MODEL_ID, PROJECT_ID, add_model, submit_job

TROUBLE = job_problem("poison", "The engine fell.")
FILES = {"model": {"model_id": MODEL_ID}, "dataset": {"dataset_id": "dat_test"}}


def ask(database: Database, kind: examinations.Kind = "model", **about: Any) -> str:
    with database.transaction() as session:
        add_model(session)
        session.execute(update(StoredModel).values(state=FileState.VALIDATING))
        session.merge(
            Dataset(
                id="dat_test",
                project_id=PROJECT_ID,
                name="images.zip",
                sha256="0" * 64,
                size_bytes=4,
                state=FileState.VALIDATING,
                created_at=utc_now(session),
            )
        )
        session.flush()
        return examinations.ask(session, PROJECT_ID, kind, **(about or {"model_id": MODEL_ID})).id


def claim(
    database: Database, worker_id: str = "wrk_1", kind: examinations.Kind = "model", seconds: float = 60.0
) -> examinations.Claim | None:
    with database.transaction() as session:
        return examinations.claim(session, worker_id=worker_id, kinds=(kind,), lease_seconds=seconds)


def held(database: Database, **wish: Any) -> examinations.Claim:
    found = claim(database, **wish)
    assert found is not None
    return found


def _claimed(session: Session) -> examinations.Claim:
    found = examinations.claim(session, worker_id="wrk_1", kinds=("model",), lease_seconds=60)
    assert found is not None
    return found


def model_of(database: Database) -> StoredModel:
    with database.transaction() as session:
        model = session.get_one(StoredModel, MODEL_ID)
        session.expunge(model)
        return model


def test_one_worker_at_a_time_examines(database: Database) -> None:
    ask(database)

    first = held(database)

    assert (first.model_name, first.dataset_name, first.attempt) == ("model.onnx", None, 1)
    assert claim(database, "wrk_2") is None
    assert claim(database, kind="dataset") is None


def test_the_answer_settles_the_model(database: Database) -> None:
    ask(database)
    mine = held(database)

    with database.transaction() as session:
        examinations.answered(session, mine, {"parameters": 3})

    model = model_of(database)
    assert (model.state, model.analysis, model.error) == ("ready", {"parameters": 3}, None)
    assert claim(database) is None


def test_an_error_rejects_the_model_and_keeps_what_was_found(database: Database) -> None:
    ask(database)

    with database.transaction() as session:
        examinations.answered(session, _claimed(session), {"parameters": 3}, TROUBLE)

    model = model_of(database)
    assert (model.state, model.analysis, model.error) == ("rejected", {"parameters": 3}, TROUBLE)


def test_a_lost_worker_s_examination_is_made_by_another_and_the_first_is_refused(database: Database) -> None:
    ask(database)
    lost = held(database, seconds=-1)

    second = held(database, worker_id="wrk_2")

    assert second.attempt == 2
    with pytest.raises(jobs.LeaseLost), database.transaction() as session:
        examinations.answered(session, lost, {"parameters": 1})
    with database.transaction() as session:
        assert not examinations.beat(session, lost).still_mine
        assert examinations.beat(session, second).still_mine


def test_what_goes_wrong_again_and_again_is_given_up(database: Database) -> None:
    identifier = ask(database)

    for attempt in range(1, examinations.TROUBLE_LIMIT + 1):
        with database.transaction() as session:
            session.execute(update(Examination).where(Examination.id == identifier).values(not_before=None))
        mine = held(database)
        assert mine.attempt == attempt
        with database.transaction() as session:
            examinations.troubled(session, mine, TROUBLE)

    assert model_of(database).error == TROUBLE
    assert claim(database) is None


def test_a_worker_that_stops_gives_back_without_blame(database: Database) -> None:
    identifier = ask(database)
    for _ in range(examinations.TROUBLE_LIMIT + 1):
        with database.transaction() as session:
            examinations.given_back(session, _claimed(session))

    with database.transaction() as session:
        assert session.get_one(Examination, identifier).trouble_count == 0
    assert claim(database) is not None


def test_the_same_question_is_asked_once(database: Database) -> None:
    about = {"model_id": MODEL_ID, "dataset_id": "dat_test"}
    first = ask(database, "report", recipe={"preprocess": {"scale": 1.0}}, **about)

    assert ask(database, "report", recipe={"preprocess": {"scale": 1.0}}, **about) == first
    assert ask(database, "report", recipe={"preprocess": {"scale": 2.0}}, **about) != first


def submit_on_both(database: Database, model: str, dataset: str) -> str:
    """Submit a job on a model and a dataset in these states."""
    with database.transaction() as session:
        session.execute(update(StoredModel).values(state=model))
        session.execute(update(Dataset).values(state=dataset))
    return submit_job(database, dataset_id="dat_test")


def claim_submitted(database: Database) -> jobs.Claim | None:
    with database.transaction() as session:
        return jobs.claim(session, worker_id="wrk_1", devices=[], lease_seconds=60)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_job_waits_for_the_examination_of_its_file(database: Database, kind: examinations.Kind) -> None:
    ask(database, kind, **FILES[kind])
    submit_on_both(database, **{"model": "ready", "dataset": "ready", kind: "validating"})
    assert claim_submitted(database) is None

    mine = held(database, kind=kind)
    assert claim_submitted(database) is None
    with database.transaction() as session:
        examinations.answered(session, mine, {})

    assert claim_submitted(database) is not None


@pytest.mark.parametrize("model", FileState)
@pytest.mark.parametrize("dataset", FileState)
def test_a_job_waits_until_both_files_are_known_or_one_is_refused(
    database: Database, model: FileState, dataset: FileState
) -> None:
    """The look without a lock and the claim say the same."""
    ask(database)
    submit_on_both(database, model, dataset)

    looked = database.read_all(submitted_statement(now=datetime.now(UTC)))
    claimed = claim_submitted(database)

    waits = FileState.VALIDATING in (model, dataset) and FileState.REJECTED not in (model, dataset)
    assert (not looked, claimed is None) == (waits, waits)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_no_job_waits_for_an_examination_whose_workers_are_all_lost(
    database: Database, kind: examinations.Kind
) -> None:
    ask(database, kind, **FILES[kind])
    submit_on_both(database, **{"model": "ready", "dataset": "ready", kind: "validating"})
    for attempt in range(1, examinations.TROUBLE_LIMIT + 1):
        assert claim_submitted(database) is None
        assert held(database, kind=kind, seconds=-1).attempt == attempt

    assert claim(database, kind=kind) is None

    assert claim_submitted(database) is not None
    with database.transaction() as session:
        file = session.get_one(StoredModel, MODEL_ID) if kind == "model" else session.get_one(Dataset, "dat_test")
        assert file.state == "rejected"
        assert file.error is not None
        assert file.error["code"] == "worker-lost"


def test_two_who_ask_at_once_ask_once(database: Database) -> None:
    ask(database, "dataset", dataset_id="dat_test")  # makes the rows that a report is about
    answers: list[str] = []
    both = threading.Barrier(2)

    def ask_too() -> None:
        both.wait()
        about = {"model_id": MODEL_ID, "dataset_id": "dat_test"}
        answers.append(database.do(lambda session: examinations.ask(session, PROJECT_ID, "report", **about).id))

    threads = [threading.Thread(target=ask_too) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 2
    assert len(set(answers)) == 1


def test_a_project_asks_for_no_more_reports_than_may_wait(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked before is told again, and other questions are taken."""
    monkeypatch.setattr(examinations, "REPORTS_WAITING", 2)
    about = {"model_id": MODEL_ID, "dataset_id": "dat_test"}
    first, _ = (ask(sqlite, "report", recipe={"preprocess": {"resize": size}}, **about) for size in (1, 2))

    with pytest.raises(QuotaExceeded, match="2 reports of the project wait"):
        ask(sqlite, "report", recipe={"preprocess": {"resize": 3}}, **about)
    assert ask(sqlite, "report", recipe={"preprocess": {"resize": 1}}, **about) == first
    assert ask(sqlite, "dataset", dataset_id="dat_test") != first
    held(sqlite, kind="report")
    ask(sqlite, "report", recipe={"preprocess": {"resize": 3}}, **about)
