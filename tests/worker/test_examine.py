"""Examinations of uploads, with an engine that does good, evil and nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select, update

from core import examinations
from core.db import utc_now
from core.queue import SilentBell
from core.tables import Dataset, Examination, FileState, Job, StoredModel
from engine.recipe import METHODS
from tests.core.samples import MODEL_ID, PROJECT_ID, add_model, read_job
from tests.worker.conftest import DATASET_ID, states_of, submit, submit_unexamined
from worker.examine import examine_next
from worker.run_job import run_next
from worker.sweep import Caretaker
from worker.workplace import Workplace


def bring_model(place: Workplace, recipe: dict[str, Any] | None = None, **behaviour: str) -> None:
    """Store a "model" that makes the fake engine behave so, and ask for its examination."""
    content = json.dumps(behaviour).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = place.settings.data_dir / "incoming"
    path.write_bytes(content)
    place.storage.put_file(path, sha256)
    with place.database.transaction() as session:
        add_model(session, sha256, len(content))
        session.execute(update(StoredModel).values(state=FileState.VALIDATING))
        dataset = {"id": "dat_test", "project_id": PROJECT_ID, "name": "images.zip", "state": FileState.VALIDATING}
        session.add(Dataset(sha256=sha256, size_bytes=len(content), created_at=utc_now(session), **dataset))
        session.flush()
        examinations.ask(session, PROJECT_ID, "model", model_id=MODEL_ID, recipe=recipe)


APPLYING = [{"name": name, "applies": True, "blocked_by": None} for name in METHODS]


def remember(place: Workplace, channels: int) -> None:
    """Let the model have been examined, and found to take so many channels and to suit every method."""
    takes = {"name": "image", "dtype": "float32", "shape": ["batch", channels, 8, 8]}
    with place.database.transaction() as session:
        session.execute(update(StoredModel).values(analysis={"inputs": [takes], "methods": APPLYING}))


def model_of(place: Workplace) -> StoredModel:
    with place.database.transaction() as session:
        model = session.get_one(StoredModel, MODEL_ID)
        session.expunge(model)
        return model


def test_a_good_model_becomes_ready(place: Workplace) -> None:
    bring_model(place)

    assert examine_next(place, ("model",))

    model = model_of(place)
    assert (model.state, model.error) == ("ready", None)
    assert model.analysis == {"inputs": [], "operators": {"Conv": 3}, "parameters": 12}
    assert not examine_next(place, ("model",))
    assert list(place.scratch.iterdir()) == []


@pytest.mark.parametrize(("behaviour", "code"), [("refuse", "nothing-to-cut"), ("blocked", "operator-unsupported")])
def test_a_bad_model_is_rejected_with_the_engine_s_reason(place: Workplace, behaviour: str, code: str) -> None:
    bring_model(place, inspect=behaviour)

    assert examine_next(place, ("model",))

    model = model_of(place)
    assert model.state == "rejected"
    assert model.error is not None
    assert (model.error["code"], model.error["status"]) == (code, 422)


def test_weights_without_a_graph_wait_for_a_recipe(place: Workplace) -> None:
    bring_model(place, inspect="ask_for_architecture")

    assert examine_next(place, ("model",))

    model = model_of(place)
    assert (model.state, model.analysis, model.error) == ("ready", None, None)


def test_an_engine_that_falls_is_tried_again_later(place: Workplace) -> None:
    bring_model(place, inspect="segfault")

    assert examine_next(place, ("model",))

    assert model_of(place).state == "validating"
    with place.database.transaction() as session:
        row = session.scalars(select(Examination)).one()
        assert (row.state, row.trouble_count) == ("waiting", 1)
        assert row.not_before is not None
    assert not examine_next(place, ("model",))


def test_a_dataset_keeps_what_was_found_in_it(place: Workplace) -> None:
    bring_model(place)
    with place.database.transaction() as session:
        examinations.ask(session, PROJECT_ID, "dataset", dataset_id="dat_test")

    assert examine_next(place, ("dataset", "report"))

    with place.database.transaction() as session:
        dataset = session.get_one(Dataset, "dat_test")
        assert (dataset.state, dataset.summary) == ("ready", {"images": 3})


def test_a_report_is_kept_with_its_question(place: Workplace) -> None:
    bring_model(place)
    with place.database.transaction() as session:
        asked = examinations.ask(session, PROJECT_ID, "report", model_id=MODEL_ID, dataset_id="dat_test").id

    assert examine_next(place, ("dataset", "report"))

    with place.database.transaction() as session:
        row = session.get_one(Examination, asked)
        assert (row.state, row.answer, row.error) == ("done", {"findings": []}, None)


def test_a_draining_worker_gives_the_examination_back(place: Workplace) -> None:
    bring_model(place, inspect="sleep")
    place.drain.begin()

    assert examine_next(place, ("model",))

    with place.database.transaction() as session:
        row = session.scalars(select(Examination)).one()
        assert (row.state, row.trouble_count) == ("waiting", 0)


def test_what_a_lost_worker_left_of_an_examination_is_cleared_away(place: Workplace) -> None:
    bring_model(place)
    with place.database.transaction() as session:
        held = examinations.claim(session, worker_id="wrk_1", kinds=("model",), lease_seconds=60)
    assert held is not None
    for name in (held.examination_id, "exm_gone"):
        (place.scratch / name).mkdir(parents=True)

    Caretaker(place, SilentBell(), ["cpu"]).sweep()

    assert [path.name for path in place.scratch.iterdir()] == [held.examination_id]


def test_a_job_that_waited_for_a_bad_model_is_rejected_without_another_look(place: Workplace) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, inspect="refuse")
    with place.database.transaction() as session:
        session.execute(update(StoredModel).values(state=FileState.VALIDATING))
        examinations.ask(session, PROJECT_ID, "model", model_id=MODEL_ID)
    assert not run_next(place)
    assert examine_next(place, ("model",))
    place.storage.delete(model_of(place).sha256)  # so that a second look would fail

    assert run_next(place)

    job: Job = read_job(place.database, job_id)
    assert job.state == "rejected"
    assert job.error is not None
    assert job.error["code"] == "nothing-to-cut"


def test_a_job_on_an_examined_model_goes_on_without_another_look(place: Workplace) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)
    remember(place, channels=3)
    place.storage.delete(model_of(place).sha256)  # so that a second look would fail

    assert run_next(place)

    assert read_job(place.database, job_id).state == "queued"


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_recipe_whose_values_do_not_fit_an_examined_model_is_never_queued(
    place: Workplace, channels: int, key: str
) -> None:
    """It is told from what is remembered of the model: with its bytes gone, any other look would fail."""
    for count in range(1, 6):
        job_id = submit(place.database, place.storage, place.settings.data_dir)
        remember(place, channels)
        with place.database.transaction() as session:
            job = session.get_one(Job, job_id)
            job.recipe = {**job.recipe, "preprocess": {key: [0.5] * count}}
        place.storage.delete(model_of(place).sha256)

        assert run_next(place)

        job = read_job(place.database, job_id)
        found = None if job.error is None else (job.error["code"], job.error["where"])
        fits = count in (1, channels)
        assert (job.state, found) == (
            ("queued", None) if fits else ("rejected", ("recipe-invalid", f"preprocess.{key}"))
        )
        assert fits or "queued" not in states_of(place, job_id)


TAKES = {"name": "image", "dtype": "float32", "shape": ["batch", 3, 8, 8]}


@pytest.mark.parametrize(
    "analysis",
    [
        {"methods": APPLYING},
        {"methods": APPLYING, "inputs": [{"name": "image"}]},
        {"methods": APPLYING, "inputs": [TAKES | {"shape": 3}]},
        {"methods": APPLYING, "inputs": "image"},
        {"methods": [{"name": one["name"]} for one in APPLYING], "inputs": [TAKES]},
        {"methods": "all", "inputs": [TAKES]},
    ],
    ids=str,
)
def test_a_model_of_which_too_little_can_be_read_is_looked_at_again(
    place: Workplace, analysis: dict[str, object]
) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, inspect="refuse")
    with place.database.transaction() as session:
        session.execute(update(StoredModel).values(analysis=analysis))

    assert run_next(place)

    assert read_job(place.database, job_id).state == "rejected"


def examine(place: Workplace, kind: examinations.Kind) -> None:
    """Make an examination of this kind, also one that is to wait before it is tried again."""
    with place.database.transaction() as session:
        session.execute(update(Examination).values(not_before=None))
    assert examine_next(place, (kind,))


def error_of(place: Workplace) -> dict[str, Any]:
    with place.database.transaction() as session:
        error = session.get_one(Dataset, DATASET_ID).error
    assert error is not None
    return error


def test_a_job_that_waited_for_bad_images_is_rejected_with_their_reason_and_never_queued(place: Workplace) -> None:
    job_id = submit_unexamined(place, survey="refuse", compress="segfault")
    examine(place, "model")
    assert not run_next(place)
    examine(place, "dataset")

    assert run_next(place)

    job = read_job(place.database, job_id)
    assert job.error == error_of(place)
    assert (job.error["code"], job.error["detail"], job.error["where"]) == ("nothing-to-cut", "Found no unit.", "graph")
    assert states_of(place, job_id) == ["submitted", "validating", "rejected"]


def test_bad_images_reject_a_job_whose_model_is_still_being_examined(place: Workplace) -> None:
    job_id = submit_unexamined(place, survey="refuse")
    examine(place, "dataset")

    assert run_next(place)

    assert read_job(place.database, job_id).error == error_of(place)


def test_a_bad_model_rejects_a_job_whose_images_are_still_being_examined(place: Workplace) -> None:
    job_id = submit_unexamined(place, inspect="refuse")
    examine(place, "model")

    assert run_next(place)

    assert read_job(place.database, job_id).error == model_of(place).error


def test_a_job_whose_images_are_examined_goes_on(place: Workplace) -> None:
    job_id = submit_unexamined(place)
    examine(place, "model")
    assert not run_next(place)
    examine(place, "dataset")

    assert run_next(place)

    assert states_of(place, job_id) == ["submitted", "validating", "queued"]


@pytest.mark.parametrize(("kind", "command"), [("model", "inspect"), ("dataset", "survey")])
def test_a_job_does_not_outwait_an_examination_that_is_given_up(
    place: Workplace, kind: examinations.Kind, command: str
) -> None:
    job_id = submit_unexamined(place, **{command: "segfault"})
    for _ in range(examinations.TROUBLE_LIMIT):
        assert not run_next(place)
        examine(place, kind)

    assert run_next(place)

    job = read_job(place.database, job_id)
    assert job.state == "rejected"
    assert job.error is not None
    assert job.error["code"] == "poison"
