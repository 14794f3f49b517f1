"""A POST that is sent twice happens once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.app.running import Service, assert_problem, make_job, make_model, put_file


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def jobs_of(client: httpx2.Client) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]


def test_the_second_gets_the_first_ones_answer(any_client: httpx2.Client) -> None:
    body = {"model_id": make_model(any_client), "labels": {"a": "b", "c": "d"}}
    reordered = {"labels": {"c": "d", "a": "b"}, "model_id": body["model_id"], "recipe": {}}

    first = any_client.post("/v1/jobs", json=body, headers=key("k"))
    second = any_client.post("/v1/jobs", json=reordered, headers=key("k"))

    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert jobs_of(any_client) == [first.json()["id"]]


def test_the_same_key_with_another_body_is_refused(client: httpx2.Client) -> None:
    model_id = make_model(client)
    client.post("/v1/jobs", json={"model_id": model_id}, headers=key("k"))

    other = client.post("/v1/jobs", json={"model_id": model_id, "recipe": {"seed": 1}}, headers=key("k"))

    assert_problem(other, 422, "idempotency-mismatch", "new key")
    assert len(jobs_of(client)) == 1


def test_a_key_belongs_to_its_path_and_its_project(service: Service, client: httpx2.Client) -> None:
    upload_id = put_file(client)["id"]

    model = client.post("/v1/models", json={"upload_id": upload_id}, headers=key("k"))
    dataset = client.post("/v1/datasets", json={"upload_id": upload_id}, headers=key("k"))
    with service.client() as other:
        theirs = other.post("/v1/models", json={"upload_id": put_file(other)["id"]}, headers=key("k"))

    assert [response.status_code for response in (model, dataset, theirs)] == [201, 201, 201]
    assert model.json()["id"] != theirs.json()["id"]


def test_a_refused_request_keeps_no_key(client: httpx2.Client) -> None:
    model_id = make_model(client)
    assert client.post("/v1/jobs", json={"model_id": "mod_0"}, headers=key("k")).status_code == 404

    assert client.post("/v1/jobs", json={"model_id": model_id}, headers=key("k")).status_code == 202


def test_uploads_and_retries_take_keys_too(client: httpx2.Client) -> None:
    asked = {"filename": "a", "size_bytes": 5}
    job = make_job(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    uploads = [client.post("/v1/uploads", json=asked, headers=key("u")).json()["id"] for _ in range(2)]
    retries = [client.post(f"/v1/jobs/{job['id']}/retry", headers=key("r")).json()["id"] for _ in range(2)]

    assert len(set(uploads)) == len(set(retries)) == 1


def test_many_at_once_make_one_job(any_service: Service) -> None:
    with any_service.client() as client:
        model_id = make_model(client)

        def ask(_number: int) -> httpx2.Response:
            with any_service.client() as own:
                return own.post("/v1/jobs", json={"model_id": model_id}, headers=key("k"))

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(jobs_of(client)) == 1


def test_a_twin_that_takes_too_long_is_told_to_come_back(
    service: Service, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.idempotency.WAIT_SECONDS", 0.2)
    body = {"model_id": make_model(client)}
    answers: list[httpx2.Response] = []

    def ask() -> None:
        with service.client(client.headers["Authorization"].removeprefix("Bearer ")) as own:
            answers.append(own.post("/v1/jobs", json=body, headers=key("k")))

    with service.database.transaction():  # holds SQLite's only writer back
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        threads[0].join(0.6)
        threads[1].join(0.6)
    for thread in threads:
        thread.join()

    told, made = sorted(answers, key=lambda answer: answer.status_code, reverse=True)
    assert_problem(told, 409, "idempotency-in-progress", "again")
    assert told.headers["Retry-After"] == "2"
    assert made.status_code == 202


@pytest.mark.parametrize("value", ["k" * 256, "", "a\tb"])
def test_a_key_that_is_none_is_refused(client: httpx2.Client, value: str) -> None:
    response = client.post("/v1/jobs", json={"model_id": "mod_0"}, headers=key(value))

    problem = assert_problem(response, 422, "validation-failed", "255")
    assert problem["errors"][0]["header"] == "Idempotency-Key"


@pytest.mark.parametrize("headers", [{}, key("k")])
def test_what_cannot_be_answered_is_not_made(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """Were it made, no list could show it either."""
    model_id = make_model(client)
    with monkeypatch.context() as patched:
        patched.setattr("app.jobs.service.job_view", lambda row: {"number": 2**64})
        answer = client.post("/v1/jobs", json={"model_id": model_id}, headers=headers)

    assert_problem(answer, 500, "internal-error")
    assert jobs_of(client) == []
