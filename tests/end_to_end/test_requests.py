"""What is asked of jobs: once, however often it is sent; waited for; taken back; made again; deleted with a receipt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from client import Job
from tests.end_to_end.streams import read_events
from tests.end_to_end.words import RECIPE, User


@pytest.fixture(scope="module")
def asked(user: User) -> dict[str, Any]:
    return {"model_id": user.model_id, "dataset_id": user.dataset_id, "recipe": RECIPE | {"budget_seconds": 300}}


@pytest.fixture(scope="module")
def cancelled(http: httpx2.Client, asked: dict[str, Any]) -> dict[str, Any]:
    """A job that was stopped, and what those saw who waited for its end and followed it meanwhile."""
    job = http.post("/v1/jobs", json=asked, headers={"Idempotency-Key": "stopped"}).json()
    path = f"/v1/jobs/{job['id']}"
    with ThreadPoolExecutor() as others:
        waited = others.submit(http.get, path, headers={"Prefer": "wait=50"})
        followed = others.submit(read_events, http, job["id"], 0)
        http.post(f"{path}/cancel")
        return job | {"waited": waited.result(), "followed": followed.result()}


def test_a_post_that_is_sent_twice_happens_once(
    http: httpx2.Client, asked: dict[str, Any], cancelled: dict[str, Any]
) -> None:
    """The second lands at another server, and after the job's end: it gets the first one's answer all the same."""
    headers = {"Idempotency-Key": "stopped"}

    again = http.post("/v1/jobs", json=asked, headers=headers)
    other = http.post("/v1/jobs", json=asked | {"priority": 1}, headers=headers)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, cancelled["id"], "submitted")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")


def test_who_waits_hears_of_the_end_at_once(cancelled: dict[str, Any]) -> None:
    answer = cancelled["waited"]

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.headers["Preference-Applied"] == "wait=50"


def test_a_stream_has_every_event_and_an_end(http: httpx2.Client, cancelled: dict[str, Any]) -> None:
    listed = http.get(f"/v1/jobs/{cancelled['id']}/events").json()["events"]

    *events, end = cancelled["followed"]

    assert [event.data for event in events] == listed
    assert (end.name, end.data) == ("end", {"state": "cancelled"})


def test_an_unchanged_job_is_not_sent_again(http: httpx2.Client, cancelled: dict[str, Any]) -> None:
    path = f"/v1/jobs/{cancelled['id']}"
    etag = http.get(path).headers["ETag"]

    answers = [http.get(path, headers={"If-None-Match": etag}) for _ in range(2)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(304, b"")] * 2


@pytest.mark.parametrize("wish", ["cancel", "pause", "resume"])
def test_what_a_state_does_not_allow_is_refused(http: httpx2.Client, finished: Job, wish: str) -> None:
    answer = http.post(f"/v1/jobs/{finished.id}/{wish}")

    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert answer.json()["state"] == "succeeded"


def test_a_job_that_has_ended_is_made_again_and_deleted_with_a_receipt(
    http: httpx2.Client, asked: dict[str, Any], cancelled: dict[str, Any]
) -> None:
    path = f"/v1/jobs/{cancelled['id']}"

    again = http.post(f"{path}/retry").json()
    early = http.delete(f"/v1/jobs/{again['id']}")
    receipt = http.delete(path).json()

    assert (again["retry_of"], again["recipe"]) == (cancelled["id"], cancelled["recipe"])
    assert (early.status_code, early.json()["code"]) == (409, "state-conflict")
    assert http.get(path).status_code == http.get(f"{path}/events").status_code == 404
    assert http.get(f"{path}/receipt").json() == receipt
    assert receipt["events"] == len(cancelled["followed"]) - 1
    http.post(f"/v1/jobs/{again['id']}/cancel")
