"""Jobs over HTTP: asked for, shown, waited for, listed, cancelled, tried again, forgotten."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2
import pytest

from app.jobs.schemas import JobView
from tests.app.running import (
    Service,
    assert_problem,
    finish_job,
    make_job,
    make_model,
    put_file,
    report_progress,
    start_job,
)


def test_a_job_is_written_before_it_is_answered(any_client: httpx2.Client) -> None:
    model_id = make_model(any_client)
    dataset_id = any_client.post("/v1/datasets", json={"upload_id": put_file(any_client)["id"]}).json()["id"]
    body = {
        "model_id": model_id,
        "dataset_id": dataset_id,
        "recipe": {"target": {"latency_ratio": 0.6}, "seed": 3},
        "labels": {"team": "vision"},
    }

    response = any_client.post("/v1/jobs", json=body)

    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (job["state"], job["device"], job["attempt"], job["queue_position"]) == ("submitted", "cpu", 0, 1)
    assert job["recipe"]["target"] == {"latency_ratio": 0.6, "min_agreement": None}
    assert job["labels"] == {"team": "vision"}
    assert job["created_at"] == job["submitted_at"]
    assert any_client.get(response.headers["Location"]).json() == job
    JobView.model_validate(job)


def test_the_provider_chooses_the_queue(client: httpx2.Client) -> None:
    assert make_job(client, recipe={"deploy": {"provider": "cuda"}})["device"] == "gpu"


def test_an_unchanged_job_is_not_sent_again(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        running = start_job(service, job["id"])
        first = client.get(f"/v1/jobs/{job['id']}")

        same = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["ETag"]})
        report_progress(service, running, 0.5)
        other = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["ETag"] == f'"{first.json()["version"]}"'
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert other.status_code == 200
    assert other.json()["fraction"] == 0.5
    assert other.json()["version"] > first.json()["version"]


def test_a_place_in_the_queue_is_part_of_the_tag(service: Service, client: httpx2.Client) -> None:
    ahead = make_job(client)
    time.sleep(0.002)  # ids of one millisecond have no order
    job = make_job(client)
    before = client.get(f"/v1/jobs/{job['id']}")

    client.post(f"/v1/jobs/{ahead['id']}/cancel")

    after = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json()["queue_position"] == before.json()["queue_position"] - 1
    assert after.json()["version"] == before.json()["version"]


def test_waiting_returns_at_the_change(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        running = start_job(service, job_id)
        etag = client.get(f"/v1/jobs/{job_id}").headers["ETag"]
        change = threading.Timer(0.3, report_progress, (service, running, 0.4))
        change.start()

        waited = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag, "Prefer": "wait=15"})

        change.join()
    assert waited.status_code == 200
    assert waited.json()["fraction"] == 0.4
    assert waited.headers["Preference-Applied"] == "wait=15"


def test_waiting_without_a_tag_returns_at_the_end(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        running = start_job(service, job_id)

        def end() -> None:
            report_progress(service, running, 0.4)
            finish_job(service, running)

        change = threading.Timer(0.3, end)
        change.start()
        waited = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "respond-async, wait=15"})
        change.join()

        assert waited.json()["state"] == "succeeded"
        assert client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"}).json()["state"] == "succeeded"


def test_waiting_ends_when_the_time_is_over(client: httpx2.Client) -> None:
    job_id = make_job(client)["id"]
    etag = client.get(f"/v1/jobs/{job_id}").headers["ETag"]

    waited = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag, "Prefer": "wait=1"})

    assert waited.status_code == 304


def test_pages_hold_every_job_once_newest_first(any_client: httpx2.Client) -> None:
    model_id = make_model(any_client)
    made = [make_job(any_client, model_id)["id"] for _ in range(5)]

    seen: list[str] = []
    parameters: dict[str, Any] = {"page_size": 2}
    while True:
        page = any_client.get("/v1/jobs", params=parameters).json()
        seen += [job["id"] for job in page["jobs"]]
        if page["next_page_token"] is None:
            break
        parameters["page_token"] = page["next_page_token"]

    assert seen == sorted(made, reverse=True)


def test_a_list_can_be_of_one_state(client: httpx2.Client) -> None:
    job_id, other = make_job(client)["id"], make_job(client)["id"]
    client.post(f"/v1/jobs/{job_id}/cancel")

    assert [job["id"] for job in client.get("/v1/jobs?state=cancelled").json()["jobs"]] == [job_id]
    assert [job["id"] for job in client.get("/v1/jobs?state=submitted").json()["jobs"]] == [other]


@pytest.mark.parametrize("query", ["state=done", "page_size=0", "page_size=201", "page_size=x"])
def test_a_list_that_cannot_be_is_told_which_parameter(client: httpx2.Client, query: str) -> None:
    problem = assert_problem(client.get(f"/v1/jobs?{query}"), 422, "validation-failed")

    assert problem["errors"][0]["parameter"] == query.partition("=")[0]


def test_a_page_token_is_good_for_its_own_list_only(client: httpx2.Client) -> None:
    model_id = make_model(client)
    for _ in range(2):
        make_job(client, model_id)
    token = client.get("/v1/jobs?page_size=1").json()["next_page_token"]

    for path, wrong in (
        ("/v1/jobs", "x"),
        ("/v1/jobs", token[:-2]),
        ("/v1/jobs", "é"),
        ("/v1/models", token),
    ):
        assert_problem(client.get(path, params={"page_token": wrong}), 400, "invalid-page-token", "Begin again")
    filtered = client.get("/v1/jobs", params={"page_token": token, "state": "failed"})
    assert_problem(filtered, 400, "invalid-page-token", "other filters")


def test_a_waiting_job_is_cancelled_at_once_and_again(any_client: httpx2.Client) -> None:
    job_id = make_job(any_client)["id"]

    first = any_client.post(f"/v1/jobs/{job_id}/cancel")
    second = any_client.post(f"/v1/jobs/{job_id}/cancel", json={})

    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (second.status_code, second.json()["version"]) == (202, first.json()["version"])


def test_a_running_job_is_asked_to_stop(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        start_job(service, job_id)

        assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelling"


def test_a_job_that_has_ended_cannot_be_cancelled(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        finish_job(service, start_job(service, job_id))

        assert_problem(client.post(f"/v1/jobs/{job_id}/cancel"), 409, "state-conflict", "succeeded")


def test_a_retry_is_a_new_job(any_client: httpx2.Client) -> None:
    old = make_job(any_client, recipe={"seed": 9}, labels={"a": "b"})
    assert_problem(any_client.post(f"/v1/jobs/{old['id']}/retry"), 409, "state-conflict", "submitted", "Cancel")
    any_client.post(f"/v1/jobs/{old['id']}/cancel")

    response = any_client.post(f"/v1/jobs/{old['id']}/retry")

    new = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == new["links"]["self"]
    assert new["id"] != old["id"]
    assert new["retry_of"] == old["id"]
    assert (new["recipe"], new["labels"], new["state"]) == (old["recipe"], old["labels"], "submitted")
    assert any_client.get(old["links"]["self"]).json()["state"] == "cancelled"


def test_a_job_is_deleted_only_after_its_end(service: Service, any_client: httpx2.Client) -> None:
    job = make_job(any_client)
    assert_problem(any_client.delete(job["links"]["self"]), 409, "state-conflict", "Cancel")
    assert_problem(any_client.delete(f"/v1/models/{job['model_id']}"), 409, "state-conflict", "Delete those jobs")
    any_client.post(f"/v1/jobs/{job['id']}/cancel")

    assert any_client.delete(job["links"]["self"]).status_code == 200

    assert_problem(any_client.get(job["links"]["self"]), 404, "not-found")
    assert any_client.delete(f"/v1/models/{job['model_id']}").status_code == 204


def test_a_report_is_there_once_the_job_is_done(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        before = client.get(job["links"]["report"])
        finish_job(service, start_job(service, job["id"]), summary="30 % faster")

        assert_problem(before, 404, "not-found", "submitted", "succeeded")
        assert client.get(job["links"]["report"]).json() == {"summary": "30 % faster"}
        assert client.get(job["links"]["self"]).json()["outcome"] == "target_met"
