"""What users ask of jobs over HTTP: to wait, to be held, to come first, to come in time, to be found, to be gone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from core import jobs
from tests.app.running import (
    Service,
    assert_problem,
    finish_job,
    make_job,
    make_model,
    report_progress,
    start_job,
    wait_until,
)


def test_a_job_is_held_and_goes_on(service: Service, any_client: httpx2.Client) -> None:
    job = make_job(any_client)

    first = any_client.post(f"{job['links']['self']}/pause")
    second = any_client.post(f"{job['links']['self']}/pause")
    resumed = any_client.post(f"{job['links']['self']}/resume")

    assert (first.status_code, first.json()["state"], first.json()["queue_position"]) == (202, "paused", None)
    assert first.json()["paused_at"] is not None
    assert second.json()["version"] == first.json()["version"]
    assert (resumed.json()["state"], resumed.json()["queue_position"]) == ("submitted", 1)
    assert_problem(any_client.post(f"{job['links']['self']}/resume"), 409, "state-conflict", "submitted")


def test_a_running_job_says_that_it_is_pausing_and_one_that_has_ended_cannot_be(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        running = start_job(service, job["id"])
        assert client.post(f"{job['links']['self']}/pause").json()["state"] == "pausing"
        assert_problem(client.post(f"{job['links']['self']}/resume"), 409, "state-conflict", "pausing")
        with service.database.transaction() as session:
            jobs.paused(session, running)
        assert client.get(job["links"]["self"]).json()["state"] == "paused"
        client.post(f"{job['links']['self']}/cancel")

        assert_problem(client.post(f"{job['links']['self']}/pause"), 409, "state-conflict", "cancelled")


def test_a_client_may_wait_with_its_request_for_the_end(service: Service) -> None:
    with service.client() as client:
        model_id = make_model(client)

        def work() -> None:
            with service.client() as other:
                wait_until(lambda: other.get("/v1/jobs", params={"label": "wait=yes"}).json()["jobs"])
                (job,) = other.get("/v1/jobs", params={"label": "wait=yes"}).json()["jobs"]
                finish_job(service, start_job(service, job["id"]))

        worker = threading.Thread(target=work)
        worker.start()
        body = {"model_id": model_id, "labels": {"wait": "yes"}}
        waited = client.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        worker.join()
        again = client.post(f"{waited.headers['Location']}/retry", headers={"Prefer": "wait=0"})

    assert (waited.status_code, waited.json()["state"]) == (200, "succeeded")
    assert waited.headers["Preference-Applied"] == "wait=30"
    assert (again.status_code, again.json()["state"], again.json()["retry_of"]) == (
        202,
        "submitted",
        waited.json()["id"],
    )


def test_a_request_that_waits_is_still_made_once(client: httpx2.Client) -> None:
    headers = {"Prefer": "wait=0", "Idempotency-Key": "once"}
    body = {"model_id": make_model(client)}

    first, second = (client.post("/v1/jobs", json=body, headers=headers) for _ in range(2))

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_priority_goes_before_age_among_the_projects_own(client: httpx2.Client) -> None:
    model_id = make_model(client)
    made = {priority: make_job(client, model_id, priority=priority)["links"]["self"] for priority in (0, -5, 100, 7)}

    places = {priority: client.get(path).json()["queue_position"] for priority, path in made.items()}

    assert sorted(places, key=lambda priority: places[priority]) == [100, 7, 0, -5]
    refused = client.post("/v1/jobs", json={"model_id": model_id, "priority": 101})
    assert assert_problem(refused, 422, "validation-failed")["errors"][0]["pointer"] == "/priority"


def test_a_deadline_is_shown_and_must_be_still_to_come(client: httpx2.Client) -> None:
    model_id, now = make_model(client), datetime.now(UTC).replace(microsecond=0)
    soon, past = now + timedelta(hours=1), now - timedelta(seconds=5)

    shown = make_job(client, model_id, deadline=soon.isoformat())["deadline"]
    refused = client.post("/v1/jobs", json={"model_id": model_id, "deadline": past.isoformat()})
    zoneless = client.post("/v1/jobs", json={"model_id": model_id, "deadline": "2099-01-01T00:00:00"})

    assert datetime.fromisoformat(shown) == soon
    assert assert_problem(refused, 422, "validation-failed", "passed")["errors"][0]["pointer"] == "/deadline"
    assert_problem(zoneless, 422, "validation-failed")


def test_what_no_database_could_hold_is_refused_before(any_client: httpx2.Client) -> None:
    model_id = make_model(any_client)

    for moment in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "soon", 1e300, [], True):
        refused = any_client.post("/v1/jobs", json={"model_id": model_id, "deadline": moment})
        assert_problem(refused, 422, "validation-failed")
    for label in ("", "=", "=x", "a", "a=\0", "a\0=", "a=" + "x" * 400):
        assert_problem(any_client.get("/v1/jobs", params={"label": label}), 422, "validation-failed")
    assert any_client.get("/v1/jobs?label=%ED%A0%80=1").json()["jobs"] == []  # half of a pair


def test_a_list_by_labels_has_pages_of_its_own(client: httpx2.Client) -> None:
    model_id = make_model(client)
    made = [make_job(client, model_id, labels={"team": "vision", "n": str(number)})["id"] for number in range(3)]
    make_job(client, model_id, labels={"team": "audio"})

    first = client.get("/v1/jobs", params={"label": "team=vision", "page_size": 2}).json()
    rest = {"label": "team=vision", "page_size": 2, "page_token": first["next_page_token"]}
    second = client.get("/v1/jobs", params=rest).json()

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == sorted(made, reverse=True)
    both = client.get("/v1/jobs", params=[("label", "team=vision"), ("label", "n=1")]).json()["jobs"]
    assert [job["id"] for job in both] == [made[1]]
    assert_problem(client.get("/v1/jobs", params=rest | {"label": "team=audio"}), 400, "invalid-page-token")
    assert_problem(client.get("/v1/jobs?label=team"), 422, "validation-failed")


def test_a_deletion_leaves_a_receipt(service: Service, client: httpx2.Client) -> None:
    job = make_job(client)
    finish_job(service, start_job(service, job["id"]), {"model.onnx": b"small"})
    (file,) = client.get(job["links"]["artifacts"]).json()["artifacts"]
    assert_problem(client.get(f"{job['links']['self']}/receipt"), 404, "not-found")

    deleted = client.delete(job["links"]["self"])

    receipt = deleted.json()
    assert deleted.status_code == 200
    assert receipt["files"] == [{name: file[name] for name in ("name", "role", "sha256", "size_bytes")}]
    assert client.get(deleted.headers["Location"]).json() == receipt
    assert_problem(client.delete(job["links"]["self"]), 404, "not-found")


def test_a_running_job_tells_its_stages_and_its_end(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        running = start_job(service, job["id"])
        begun = client.get(job["links"]["self"]).json()
        report_progress(service, running, 0.3, "score")
        report_progress(service, running, 0.5, "recover")
        shown = client.get(job["links"]["self"]).json()
        finish_job(service, running)
        ended = client.get(job["links"]["self"]).json()

    assert begun["eta"]["p50_seconds"] is None
    assert begun["eta"]["p90_seconds"] > 100  # nothing is known yet but the budget
    assert [(stage["name"], stage["ended_at"] is None) for stage in shown["stages"]] == [
        ("score", False),
        ("recover", True),
    ]
    assert shown["eta"]["p50_seconds"] == shown["eta_seconds"] == 10.0
    assert shown["eta"]["p90_seconds"] >= 2 * shown["eta_seconds"]
    assert all(stage["fraction"] == 1.0 and stage["ended_at"] for stage in ended["stages"])
    assert ended["eta"] == {"p50_seconds": 0.0, "p90_seconds": 0.0, "past_jobs": begun["eta"]["past_jobs"]}


@pytest.mark.parametrize("state", ["submitted", "running"])
def test_a_log_only_grows_and_keeps_no_secret(service: Service, client: httpx2.Client, state: str) -> None:
    job = make_job(client)
    path = f"{job['links']['self']}/log"
    if state == "running":
        running = start_job(service, job["id"])
    before = client.get(path)

    secret = service.key
    if state == "running":
        with service.database.transaction() as session:
            jobs.beat(session, running, jobs.Progress("score", 0.5, None, f"with {secret} at hand"))
    else:
        client.post(f"{job['links']['self']}/cancel")
    rest = client.get(path, headers={"Range": f"bytes={len(before.content)}-"})
    whole = client.get(path)

    assert before.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert rest.status_code == 206
    assert before.content + rest.content == whole.content
    assert "job.state" in before.text
    assert secret not in whole.text
    assert ("[hidden]" in whole.text) == (state == "running")
    nothing_new = client.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert_problem(nothing_new, 416, "range-not-satisfiable")
    assert client.head(path).headers["Content-Length"] == str(len(whole.content))
    assert client.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
