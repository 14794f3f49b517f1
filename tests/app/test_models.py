"""Models and datasets: their states, the analysis, the doctor's report, and what is refused on a rejected one."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from app.datasets.schemas import ReportView
from app.models.schemas import AnalysisView
from core import examinations
from core.problems import from_engine
from engine.diagnosis import Survey
from tests.app.running import Service, assert_problem, make_model, put_file

REFUSED = from_engine({"code": "nothing-to-cut", "title": "x", "message": "Found no unit. Send another.", "where": "n"})
ANALYSIS: dict[str, Any] = {
    "inputs": [{"name": "image", "dtype": "float32", "shape": ["batch", 3, 8, 8]}],
    "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 10]}],
    "opset": 18,
    "delivered_opset": 18,
    "operators": {"Conv": 3},
    "parameters": 12,
    "macs": 34,
    "uncounted": [],
    "size_bytes": 56,
    "batch_norm_layers": 0,
    "batch_norm_folded": True,
    "units": [],
    "groups": [],
    "barriers": [],
    "unruled": [],
    "notes": [],
    "methods": [{"name": "practise", "applies": True, "blocked_by": None}],
    "blocking": [],
}
LAYOUTS = ("NCHW", "NHWC")
SURVEY = Survey(
    images=3,
    looked_at=3,
    kind="pictures",
    dtype="uint8",
    smallest=(8, 8, 3),
    largest=(8, 8, 3),
    value_range=(0.0, 255.0),
    classes=None,
    copies=0,
    size_bytes=9,
    notes=(),
).model_dump(mode="json")
REPORT = {
    "images": 3,
    "looked_at": 3,
    "preprocess": {},
    "findings": [],
    "checks": [{"ailment": "layout", "verdict": "healthy", "figures": {"rougher": 1.0}, "note": None}],
    "recipe": None,
    "confidence": 0.9,
    "confidence_mended": 0.9,
    "notes": [],
}


def make_dataset(client: httpx2.Client) -> str:
    response = client.post("/v1/datasets", json={"upload_id": put_file(client, b"pictures", "pictures.zip")["id"]})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def examine(service: Service, answer: dict[str, Any] | None, error: dict[str, Any] | None = None) -> None:
    """Do what a worker does with all examinations that wait."""
    with service.database.transaction() as session:
        wish: dict[str, Any] = {"worker_id": "wrk_1", "kinds": ("model", "dataset", "report"), "lease_seconds": 60}
        while (claim := examinations.claim(session, **wish)) is not None:
            examinations.answered(session, claim, answer, error)


def test_a_model_is_validating_and_then_ready_with_its_analysis(service: Service, client: httpx2.Client) -> None:
    examine(service, None)  # what other tests have left
    model_id = make_model(client)
    before = client.get(f"/v1/models/{model_id}/analysis")

    examine(service, ANALYSIS)

    after = client.get(f"/v1/models/{model_id}/analysis")
    assert (before.status_code, before.headers["Retry-After"], before.json()["state"]) == (200, "1", "validating")
    assert client.get(f"/v1/models/{model_id}").json()["state"] == "ready"
    assert "Retry-After" not in after.headers
    assert AnalysisView.model_validate(after.json()).analysis is not None
    assert after.json()["analysis"]["macs"] == 34


def test_a_job_on_a_rejected_model_is_refused_at_once(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, None, REFUSED)

    refusal = client.post("/v1/jobs", json={"model_id": model_id})

    body = assert_problem(refusal, 422, "model-rejected", "Found no unit", model_id)
    assert (body["reason"], body["where"]) == ("nothing-to-cut", "n")
    shown = client.get(f"/v1/models/{model_id}").json()
    assert (shown["state"], shown["error"]["code"]) == ("rejected", "nothing-to-cut")
    assert client.delete(f"/v1/models/{model_id}").status_code == 204


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimates"])
@pytest.mark.parametrize("key", ["mean", "std"])
def test_values_that_do_not_fit_an_examined_model_are_refused_at_once(
    any_service: Service, any_client: httpx2.Client, key: str, path: str
) -> None:
    model_id = make_model(any_client)
    body = {"model_id": model_id, "recipe": {"preprocess": {key: [0.5, 0.5]}}}
    unknown = any_client.post("/v1/jobs", json=body)
    examine(any_service, ANALYSIS)

    refusal = any_client.post(path, json=body)

    assert unknown.status_code == 202  # its worker will tell
    problem = assert_problem(refusal, 422, "validation-failed", "has 2 values", "'image' has 3 channels", "Give one")
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (f"/recipe/preprocess/{key}", "recipe-invalid")
    for fitting in ([0.5], [0.1, 0.2, 0.3]):
        body["recipe"] = {"preprocess": {key: fitting}}
        assert any_client.post(path, json=body).status_code in (200, 202)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimates"])
def test_plainly_another_layout_than_an_examined_model_s_is_refused_at_once(
    any_service: Service, any_client: httpx2.Client, path: str
) -> None:
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS)
    bodies = {layout: {"model_id": model_id, "recipe": {"preprocess": {"layout": layout}}} for layout in LAYOUTS}

    answers = {layout: any_client.post(path, json=body) for layout, body in bodies.items()}

    assert answers["NCHW"].status_code in (200, 202)
    problem = assert_problem(answers["NHWC"], 422, "validation-failed", "is 3 x 8 x 8, which is NCHW", "says NHWC")
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/recipe/preprocess/layout", "recipe-invalid")


@pytest.mark.parametrize("inputs", ["image", [{}], [{"name": "image"}], [{"name": "image", "dtype": "", "shape": 3}]])
def test_of_a_model_whose_kept_input_cannot_be_read_nothing_is_said(
    any_service: Service, any_client: httpx2.Client, inputs: object
) -> None:
    """Nor of its method: a worker looks at it."""
    model_id = make_model(any_client)
    examine(any_service, ANALYSIS | {"inputs": inputs, "methods": [{"name": "practise"}, "auto"]})
    recipe = {"preprocess": {"mean": [0.5, 0.5]}, "method": {"name": "practise"}}
    body = {"model_id": model_id, "dataset_id": make_dataset(any_client), "recipe": recipe}
    examine(any_service, SURVEY)

    answers = [any_client.post(path, json=body) for path in ("/v1/estimates", "/v1/jobs")]

    assert [answer.status_code for answer in answers] == [200, 202]
    assert not any("refuse" in warning or "apply" in warning for warning in answers[0].json()["warnings"])


def test_a_recipe_that_names_its_architecture_is_left_to_a_worker(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, ANALYSIS)
    architecture = {"name": "torchvision/resnet18", "input_shape": [1, 8, 8]}
    recipe = {"preprocess": {"mean": [0.5, 0.5]}, "architecture": architecture}

    assert client.post("/v1/jobs", json={"model_id": model_id, "recipe": recipe}).status_code == 202


def test_a_rejected_dataset_is_refused_too(service: Service, client: httpx2.Client) -> None:
    model_id, dataset_id = make_model(client), make_dataset(client)
    examine(service, None, REFUSED)

    listed = client.get("/v1/datasets").json()["datasets"]

    assert [(row["state"], row["summary"]) for row in listed] == [("rejected", None)]
    refusal = client.get(f"/v1/datasets/{dataset_id}/report", params={"model_id": model_id})
    body = assert_problem(refusal, 422, "model-rejected", model_id, "Found no unit. Send another.")
    assert (body["reason"], body["where"]) == ("nothing-to-cut", "n")


def test_a_report_on_a_rejected_dataset_is_refused_with_the_reason(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, ANALYSIS)
    dataset_id = make_dataset(client)
    examine(service, None, REFUSED)

    refusal = client.get(f"/v1/datasets/{dataset_id}/report", params={"model_id": model_id})

    assert_problem(refusal, 422, "dataset-rejected", dataset_id, "Found no unit. Send another.")


def test_a_dataset_shows_what_is_in_it(service: Service, client: httpx2.Client) -> None:
    dataset_id = make_dataset(client)

    examine(service, SURVEY)

    assert client.get(f"/v1/datasets/{dataset_id}").json()["summary"] == SURVEY


def test_a_report_is_made_once_for_each_question(service: Service, client: httpx2.Client) -> None:
    model_id, dataset_id = make_model(client), make_dataset(client)
    path = f"/v1/datasets/{dataset_id}/report"
    half = {"model_id": model_id, "preprocess": json.dumps({"mean": [0.5], "std": [0.5]})}
    examine(service, None)

    asked = [client.get(path, params={"model_id": model_id}), client.get(path, params=half)]
    examine(service, REPORT)
    done = [client.get(path, params={"model_id": model_id}), client.get(path, params=half)]

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in asked] == [(202, "1")] * 2
    assert [answer.status_code for answer in done] == [200, 200]
    assert all(ReportView.model_validate(answer.json()).report for answer in done)
    with service.database.transaction() as session:
        assert examinations.claim(session, worker_id="wrk_1", kinds=("report",), lease_seconds=60) is None


@pytest.mark.parametrize("text", ["{", '{"means": [0.5]}', '{"std": [0]}', "[]"])
def test_a_report_s_preprocess_is_checked(client: httpx2.Client, text: str) -> None:
    model_id, dataset_id = make_model(client), make_dataset(client)

    refusal = client.get(f"/v1/datasets/{dataset_id}/report", params={"model_id": model_id, "preprocess": text})

    body = assert_problem(refusal, 422, "validation-failed", "preprocess")
    assert body["errors"][0]["parameter"] == "preprocess"


def test_files_of_others_have_no_report(service: Service, client: httpx2.Client) -> None:
    model_id, dataset_id = make_model(client), make_dataset(client)
    stranger = service.client(service.new_project("prj_" + "9" * 26))
    with stranger:
        theirs = make_dataset(stranger)

        for dataset in (dataset_id, theirs):
            refusal = stranger.get(f"/v1/datasets/{dataset}/report", params={"model_id": model_id})
            assert_problem(refusal, 404, "not-found", model_id)
    refusal = client.get(f"/v1/datasets/{theirs}/report", params={"model_id": model_id})
    assert_problem(refusal, 404, "not-found", theirs)


def test_a_model_that_is_deleted_takes_its_examinations_along(service: Service, client: httpx2.Client) -> None:
    model_id, dataset_id = make_model(client), make_dataset(client)
    client.get(f"/v1/datasets/{dataset_id}/report", params={"model_id": model_id})

    assert client.delete(f"/v1/models/{model_id}").status_code == 204
    assert client.delete(f"/v1/datasets/{dataset_id}").status_code == 204


def test_weights_keep_the_architecture_that_they_were_named_with(client: httpx2.Client) -> None:
    architecture = {"name": "torchvision/resnet18", "options": {"num_classes": 10}}
    body = {"upload_id": put_file(client)["id"], "architecture": architecture}

    made = client.post("/v1/models", json=body)

    assert made.json()["architecture"] == architecture | {"input_shape": None}
    unknown = client.post("/v1/datasets", json={"upload_id": put_file(client)["id"], "architecture": architecture})
    assert_problem(unknown, 422, "unknown-field")
