"""The threads of a worker: woken by a bell, kept apart by slots, gone after a drain."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select, update

from core import examinations
from core.queue import SilentBell
from core.tables import Examination, Job, Worker
from tests.core.samples import MODEL_ID, PROJECT_ID, read_job
from tests.worker.conftest import DATASET_ID, fake_engine, is_over, states_of, submit, submit_unexamined, until
from worker.isolation import Child
from worker.lanes import Lanes
from worker.limits import ChildLimits
from worker.slots import Slot
from worker.sweep import Caretaker
from worker.workplace import Workplace


def lanes_of(place: Workplace, *slots: Slot) -> Lanes:
    return Lanes(place, slots, Caretaker(place, SilentBell(), sorted({slot.device for slot in slots})))


@pytest.fixture
def sleepy(place: Workplace) -> Workplace:
    """A worker that would look again in ten minutes."""
    patient = place.settings.model_copy(update={"poll_seconds": 600.0})
    return Workplace(patient, place.database, place.storage, place.sandbox, place.engine)


def test_a_wake_up_is_enough(sleepy: Workplace, slot: Slot) -> None:
    lanes = lanes_of(sleepy, slot)
    lanes.start()
    job_id = submit(sleepy.database, sleepy.storage, sleepy.settings.data_dir)

    def wake_and_look() -> bool:
        lanes.wake()
        return is_over(sleepy.database, job_id)

    until(wake_and_look)
    lanes.drain()

    assert read_job(sleepy.database, job_id).state == "succeeded"


@pytest.mark.parametrize(("behaviour", "ending"), [("good", "succeeded"), ("refuse", "rejected")])
def test_a_job_is_told_by_its_lanes_what_became_of_its_images(
    place: Workplace, slot: Slot, behaviour: str, ending: str
) -> None:
    job_id = submit_unexamined(place, survey=behaviour)
    lanes = lanes_of(place, slot)

    lanes.start()
    until(lambda: is_over(place.database, job_id))
    lanes.drain()

    states = states_of(place, job_id)
    assert states[-1] == ending
    assert ("queued" in states) == (ending == "succeeded")


def finished(place: Workplace) -> list[str]:
    """Return the kinds of what has been examined, in its order."""
    with place.database.transaction() as session:
        done = select(Examination.kind).where(Examination.state == "done")
        return list(session.scalars(done.order_by(Examination.finished_at)))


def test_images_that_a_job_may_wait_for_are_examined_before_reports(place: Workplace, slot: Slot) -> None:
    submit_unexamined(place)
    with place.database.transaction() as session:
        (images,) = session.scalars(select(Examination).where(Examination.kind == "dataset"))
        images.id = "exm_" + "z" * 26  # asked for after the report
        session.flush()
        examinations.ask(session, PROJECT_ID, "report", model_id=MODEL_ID, dataset_id=DATASET_ID)
    lanes = lanes_of(place, slot)

    lanes.start()
    until(lambda: len(finished(place)) == 3)
    lanes.drain()

    kinds = finished(place)
    assert kinds.index("dataset") < kinds.index("report")


def test_a_job_waits_while_another_process_holds_the_slot(place: Workplace, slot: Slot) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)
    lanes = lanes_of(place, slot)
    with slot.held():
        lanes.start()
        until(lambda: read_job(place.database, job_id).state == "queued")

    until(lambda: is_over(place.database, job_id))
    lanes.drain()


def test_a_gpu_job_runs_on_the_gpu_of_its_slot(place: Workplace, tmp_path: Path) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)
    with place.database.transaction() as session:
        session.execute(update(Job).values(device="gpu"))
    lanes = lanes_of(place, Slot("gpu", "0", tmp_path / "gpu-0"))

    lanes.start()
    until(lambda: is_over(place.database, job_id))
    lanes.drain()

    assert read_job(place.database, job_id).state == "succeeded"


def test_the_child_sees_the_gpu_of_its_slot_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "model").write_text('{"compress": "tell_gpu"}')
    limits = ChildLimits(wall_seconds=20, memory_bytes=None, disk_bytes=1024**2)
    child = Child(
        fake_engine(), ["compress", "model"], folder=tmp_path, shared={}, limits=limits, sandbox="limits", gpu="3"
    )

    assert list(child.lines()) == [b"3"]

    assert child.ending().exit_code == 0


def test_a_worker_is_listed_while_it_lives(place: Workplace, slot: Slot) -> None:
    lanes = lanes_of(place, slot)
    lanes.start()
    with place.database.transaction() as session:
        (row,) = session.scalars(select(Worker))
    assert (row.id, row.devices, row.sandbox) == (place.worker_id, ["cpu"], place.sandbox)

    lanes.drain()

    with place.database.transaction() as session:
        assert session.scalars(select(Worker)).all() == []
    assert not [thread for thread in threading.enumerate() if thread.name in {"inspect", "sweep", "cpu-slot"}]


def test_what_ended_jobs_left_on_the_disk_is_cleared(place: Workplace, slot: Slot) -> None:
    lanes = lanes_of(place, slot)
    lanes.start()
    job_id = submit(place.database, place.storage, place.settings.data_dir)

    until(lambda: is_over(place.database, job_id) and not (place.scratch / job_id).exists())

    lanes.drain()
