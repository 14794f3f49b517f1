"""A dry run: figures within their intervals, from the analysis, past jobs and the queue; nothing is made by it."""

from __future__ import annotations

import itertools
from typing import Any

import httpx2
import pytest

from app.estimates.schemas import EstimateView
from app.estimates.sizes import Left, Unit, predict
from engine.recipe import TARGETS, Recipe
from tests.app.running import Service, assert_problem, finish_job, make_job, make_model, start_job
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


def test_what_no_job_could_be_asked_with_has_no_estimate(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, None, REFUSED)

    assert_problem(ask(client, model_id), 422, "model-rejected")
    assert_problem(ask(client, "mod_" + "0" * 26), 404, "not-found", "model")
    assert_problem(ask(client, model_id, recipe={"treshold": 1}), 422, "unknown-field")
