"""A dry run: figures within their intervals, from the analysis, past jobs and the queue; nothing is made by it."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy.orm import Session

from app.estimates.schemas import EstimateView
from app.estimates.sizes import Left, Unit, predict
from core.db import utc_now
from core.ids import new_id
from core.jobs.forecast import kind_of
from core.tables import Job, Worker
from engine.recipe import TARGETS, Recipe
from tests.app.running import (
    Service,
    assert_problem,
    finish_job,
    make_job,
    make_model,
    report_progress,
    start_job,
)
from tests.app.test_models import ANALYSIS, REFUSED, examine

UNITS = [Unit(0.1, 0.02), Unit(0.2, 0.1), Unit(0.3, 0.5)]
TARGET_VALUES: dict[str, list[float]] = {
    "latency_ratio": [0.3, 0.7, 0.95],
    "latency_ms": [1.0, 5.0, 50.0],
    "macs_ratio": [0.3, 0.7, 0.95],
    "parameters_ratio": [0.3, 0.7, 0.95],
    "units": [1, 2, 3, 99],
    "pareto": [2, 8],
}


def left_of(target: dict[str, float], method: str, units: list[Unit], original_ms: float | None = 10.0) -> Left:
    return predict(Recipe.model_validate({"target": target, "method": {"name": method}}), units, original_ms)


@pytest.mark.parametrize("method", ["practise", "auto", "l1"])
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_prediction_lies_within_its_interval(target: str, method: str) -> None:
    for value, units in itertools.product(TARGET_VALUES[target], (UNITS, [])):
        left = left_of({target: value}, method, units)

        for part in (left.latency, left.work, left.parameters):
            assert part is not None
            assert 0 <= part.low <= part.value <= part.high <= 1, (value, part)


def test_units_that_go_leave_what_the_lightest_and_the_heaviest_of_them_leave() -> None:
    left = left_of({"units": 2}, "practise", UNITS)

    assert left.work == pytest.approx((0.6, 0.5, 0.7))
    assert left.parameters.low <= 1 - 0.6 + 1e-9  # the two heaviest take 0.6 of the parameters along
    assert left.parameters.high >= 1 - 0.12 - 1e-9


def test_milliseconds_need_a_job_that_has_measured_the_network() -> None:
    assert left_of({"latency_ms": 5.0}, "auto", UNITS, None).latency is None
    known = left_of({"latency_ms": 5.0}, "auto", UNITS, 10.0).latency
    assert known is not None
    assert known.value == 0.5


def ask(client: httpx2.Client, model_id: str, **more: Any) -> httpx2.Response:
    return client.post("/v1/estimates", json={"model_id": model_id, **more})


def test_an_estimate_is_made_of_the_analysis_alone_where_there_is_no_past(
    service: Service, client: httpx2.Client
) -> None:
    model_id = make_model(client)
    assert_problem(ask(client, model_id), 409, "state-conflict", "still being examined")
    examine(service, ANALYSIS)

    answer = ask(client, model_id)

    assert answer.status_code == 200, answer.text
    view = EstimateView.model_validate(answer.json())
    assert (view.original.macs, view.original.latency_ms_p50, view.predicted.latency_ms_p50) == (34, None, None)
    assert view.predicted.latency_ratio is not None
    assert view.predicted.latency_ratio.value == 0.7
    assert (view.run.p50, view.basis.past_jobs, view.device) == (600.0, 0, "cpu")
    assert any("No worker serves" in warning for warning in view.warnings)
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_an_estimate_learns_from_the_jobs_before_it(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    job = make_job(client, model_id)
    latency = {"original": {"latency_ms_p50": 8.0}, "ratio": {"value": 0.84}}
    finish_job(service, start_job(service, job["id"]), {}, latency=latency)

    view = EstimateView.model_validate(ask(client, model_id, recipe={"target": {"latency_ms": 4.0}}).json())

    assert (view.original.latency_ms_p50, view.basis.past_jobs_on_this_model) == (8.0, 1)
    assert view.predicted.latency_ms_p50 is not None
    assert view.predicted.latency_ms_p50.value == 4.0
    assert any("20 % slower than asked" in warning for warning in view.warnings)


def test_an_estimate_stands_behind_the_project_s_own_jobs(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    make_job(client, model_id)
    make_job(client, model_id)
    examine(service, ANALYSIS)

    assert ask(client, model_id).json()["queue_position"] == 3


def serve_cpu(service: Service, workers: int = 1) -> None:
    """Let workers be seen that have nothing in hand and take nothing."""
    with service.database.transaction() as session:
        now = utc_now(session)
        place = {"host": "h", "boot_id": "b", "pid": 1, "pid_started": "1", "devices": ["cpu"], "sandbox": "limits"}
        for number in range(workers):
            session.add(Worker(id=f"wrk_{number}", started_at=now, seen_at=now, **place))


def queue_of(client: httpx2.Client, model_id: str, **recipe: Any) -> tuple[float | None, float | None]:
    queue = EstimateView.model_validate(ask(client, model_id, recipe=recipe).json()).queue
    return queue.p50, queue.p90


def test_the_wait_is_of_those_who_wait_and_not_of_the_asker(any_service: Service, any_client: httpx2.Client) -> None:
    """Of jobs whose budgets are 60 s, the one in hand is half done; late, each takes its budget and two minutes."""
    serve_cpu(any_service)
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    jobs = [make_job(any_client, model_id, recipe={"budget_seconds": 60}) for _ in range(3)]
    before = queue_of(any_client, model_id)
    start_job(any_service, jobs[0]["id"])

    waits = [queue_of(any_client, model_id, **recipe) for recipe in ({}, {"budget_seconds": 60}, {"seed": 1})]

    assert before == (3 * 60.0, 3 * 180.0)
    assert waits == [(2.5 * 60.0, 3 * 180.0)] * 3


def test_each_job_that_waits_is_priced_by_its_own_budget(any_service: Service, any_client: httpx2.Client) -> None:
    serve_cpu(any_service, workers=2)
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    make_job(any_client, model_id, recipe={"budget_seconds": 1000})
    assert queue_of(any_client, model_id) == (0.0, 0.0)  # a worker is free

    make_job(any_client, model_id, recipe={"budget_seconds": 60})

    assert queue_of(any_client, model_id) == ((1000 + 60) / 2, (1120 + 180) / 2)


def test_of_others_no_more_jobs_stand_before_than_of_one_s_own(any_service: Service, any_client: httpx2.Client) -> None:
    serve_cpu(any_service)
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    make_job(any_client, model_id, recipe={"budget_seconds": 60})
    with any_service.client(any_service.new_project("prj_" + "7" * 26)) as stranger:
        theirs = make_model(stranger)
        for budget_seconds in (100, 300):
            make_job(stranger, theirs, recipe={"budget_seconds": budget_seconds})

    assert queue_of(any_client, model_id) == (60.0 + 200.0, 180.0 + 320.0)
    assert ask(any_client, model_id).json()["queue_position"] == 3


def test_what_past_jobs_took_counts_for_those_that_wait(any_service: Service, any_client: httpx2.Client) -> None:
    """A forecast goes before a job's budget, as far as the budget lets it."""
    serve_cpu(any_service)
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    with any_service.database.transaction() as session:
        for seconds in (20, 20, 20, 20, 900):
            session.add(a_past_job(session, model_id, seconds))
    make_job(any_client, model_id, recipe={"budget_seconds": 60})

    asked = ask(any_client, model_id, recipe={"budget_seconds": 60}).json()
    assert list(asked["queue"].values()) == list(asked["run"].values()) == [20.0, 180.0]


def a_past_job(session: Session, model_id: str, seconds: float) -> Job:
    """Make a job as `make_job` asks for them, which took so long."""
    now = utc_now(session)
    row = {"id": new_id("job"), "project_id": "prj_default", "model_id": model_id, "recipe": {}, "labels": {}}
    kind = kind_of(Recipe().model_dump(mode="json"), "cpu", has_images=False)
    times = {"submitted_at": now, "running_at": now - timedelta(seconds=seconds), "finished_at": now}
    return Job(**row, **times, kind=kind, device="cpu", state="succeeded")


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_job_waits_as_long_as_its_estimate_said_and_as_lists_say(
    any_service: Service, any_client: httpx2.Client, workers: int
) -> None:
    """With jobs of all lengths before it, one in hand, and another project's among them."""
    serve_cpu(any_service, workers)
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    with any_service.client(any_service.new_project("prj_" + "8" * 26)) as stranger:
        theirs = make_model(stranger)
        running = make_job(stranger, theirs, recipe={"budget_seconds": 400})["id"]
        start_job(any_service, running)
        make_job(stranger, theirs, recipe={"budget_seconds": 700})
    for budget_seconds in (60, 1000, 30, 200):
        queue, position = queue_of(any_client, model_id), ask(any_client, model_id).json()["queue_position"]
        made = make_job(any_client, model_id, recipe={"budget_seconds": budget_seconds})
        shown = any_client.get(f"/v1/jobs/{made['id']}").json()
        listed = any_client.get("/v1/jobs").json()["jobs"][0]

        assert shown["eta"] == made["eta"] == listed["eta"]
        assert shown["queue_position"] == position
        assert queue[1] is not None
        exact = queue[1] + budget_seconds + 120
        assert exact <= shown["eta"]["p90_seconds"] <= 1.1 * exact  # told by two digits
    assert len(any_client.get("/v1/jobs").json()["jobs"]) == 4


def test_a_short_job_ahead_is_no_long_one(any_service: Service, any_client: httpx2.Client) -> None:
    """A job of a day behind one of a minute does not wait a day."""
    serve_cpu(any_service)
    model_id = make_model(any_client)
    for budget_seconds in (60, 86_400):
        job = make_job(any_client, model_id, recipe={"budget_seconds": budget_seconds})

    assert job["eta"]["p90_seconds"] == 87_000  # 180 + 86 520, told by two digits


def test_what_is_left_of_a_waiting_job_is_part_of_its_tag(any_service: Service, any_client: httpx2.Client) -> None:
    """It changes with the job in hand, while place and version stay; who does not wait is told at once."""
    serve_cpu(any_service)
    model_id = make_model(any_client)
    running = start_job(any_service, make_job(any_client, model_id)["id"])
    path = f"/v1/jobs/{make_job(any_client, model_id)['id']}"
    before = any_client.get(path)
    tagged = {"If-None-Match": before.headers["ETag"]}
    same = any_client.get(path, headers=tagged)

    report_progress(any_service, running, 0.9)

    after = any_client.get(path, headers=tagged)
    assert (same.status_code, after.status_code) == (304, 200)
    assert after.json()["eta"]["p90_seconds"] != before.json()["eta"]["p90_seconds"]
    assert after.json()["queue_position"] == before.json()["queue_position"]


def test_progress_of_a_running_job_does_not_end_the_wait_of_a_waiting_one(
    any_service: Service, any_client: httpx2.Client
) -> None:
    """Waiting, one is told of it when the wait is over, by a tag of its own."""
    serve_cpu(any_service)
    model_id = make_model(any_client)
    running = start_job(any_service, make_job(any_client, model_id)["id"])
    path = f"/v1/jobs/{make_job(any_client, model_id)['id']}"
    before = any_client.get(path)
    held = {"If-None-Match": before.headers["ETag"], "Prefer": "wait=1"}
    report_progress(any_service, running, 0.9)
    began = time.monotonic()

    after = any_client.get(path, headers=held)

    assert time.monotonic() - began >= 1
    assert (after.status_code, after.json()["queue_position"]) == (200, before.json()["queue_position"])
    assert after.headers["ETag"] != before.headers["ETag"]


@pytest.mark.parametrize("change", ["place", "worker"])
def test_another_place_or_a_first_worker_ends_the_wait_of_a_waiting_job(
    any_service: Service, any_client: httpx2.Client, change: str
) -> None:
    model_id = make_model(any_client)
    ahead = make_job(any_client, model_id)["id"]
    path = f"/v1/jobs/{make_job(any_client, model_id)['id']}"
    held = {"If-None-Match": any_client.get(path).headers["ETag"], "Prefer": "wait=50"}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(any_client.get, path, headers=held, timeout=60)
        began = time.monotonic()

        if change == "place":
            any_client.post(f"/v1/jobs/{ahead}/cancel")
        else:
            serve_cpu(any_service)

        after = waiting.result()
    assert time.monotonic() - began < 40
    assert after.status_code == 200
    assert after.json()["queue_position"] == (1 if change == "place" else 2)
    assert (after.json()["eta"]["p90_seconds"] is None) is (change == "place")


def test_an_estimate_stands_behind_no_job_of_a_lower_priority(any_service: Service, any_client: httpx2.Client) -> None:
    model_id = make_model(any_client)
    for priority in (0, 5):
        make_job(any_client, model_id, priority=priority)
    examine(any_service, ANALYSIS)

    places = {
        priority: ask(any_client, model_id, priority=priority).json()["queue_position"] for priority in (-1, 0, 1, 9)
    }

    assert places == {-1: 3, 0: 3, 1: 2, 9: 1}


def test_what_no_job_could_be_asked_with_has_no_estimate(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, None, REFUSED)

    assert_problem(ask(client, model_id), 422, "model-rejected")
    assert_problem(ask(client, "mod_" + "0" * 26), 404, "not-found", "model")
    assert_problem(ask(client, model_id, recipe={"treshold": 1}), 422, "unknown-field")
