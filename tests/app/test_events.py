"""A job's history: the same lines as JSON and as a stream, none lost and none twice, and the stream ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import orjson
import pytest

from tests.app.running import Service, assert_problem, finish_job, make_job, report_progress, start_job


class Line(NamedTuple):
    """One server-sent event."""

    id: int
    event: str
    data: dict[str, Any]


def stream(client: httpx2.Client, job_id: str, at_most: int = 1000, **headers: str) -> list[Line]:
    """Follow a job's events until the stream ends, or until `at_most` have come."""
    return list(follow(client, job_id, at_most, **headers))


def follow(client: httpx2.Client, job_id: str, at_most: int = 1000, **headers: str) -> Iterator[Line]:
    """Follow a job's events as they come."""
    headers |= {"Accept": "text/event-stream"}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield from _parsed(response.iter_lines(), at_most)


def _parsed(lines: Iterator[str], at_most: int) -> Iterator[Line]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif "event" in fields:
            yield Line(int(fields["id"]), fields["event"], orjson.loads(fields["data"]))
            at_most -= 1
            if at_most == 0:
                return
            fields = {}


def run_job(service: Service, job_id: str, steps: int) -> None:
    running = start_job(service, job_id)
    for step in range(steps):
        report_progress(service, running, step / steps, f"stage-{step}")
    finish_job(service, running, {"model.onnx": job_id.encode()})


def test_json_and_stream_tell_the_same(any_service: Service, any_client: httpx2.Client) -> None:
    job_id = make_job(any_client)["id"]
    run_job(any_service, job_id, 5)

    events = any_client.get(f"/v1/jobs/{job_id}/events").json()["events"]
    lines = stream(any_client, job_id)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [line.data for line in lines[:-1]] == events
    assert [line.id for line in lines[:-1]] == [event["seq"] for event in events]
    assert lines[-1] == Line(events[-1]["seq"], "end", {"state": "succeeded"})
    assert {event["type"] for event in events} == {"job.state", "job.progress", "job.artifact"}


def test_after_skips_what_was_seen(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        run_job(service, job_id, 3)
        events = client.get(f"/v1/jobs/{job_id}/events").json()["events"]

        assert client.get(f"/v1/jobs/{job_id}/events?after=4").json()["events"] == events[4:]
        assert client.get(f"/v1/jobs/{job_id}/events?after=999").json()["events"] == []
        assert [line.id for line in stream(client, job_id, **{"Last-Event-ID": "4"})][:-1] == [
            event["seq"] for event in events[4:]
        ]


def test_a_stream_that_is_cut_again_and_again_loses_nothing(service: Service) -> None:
    """While the job runs, a client reads a few events, drops the connection and comes back with the last id."""
    with service.client() as client:
        job_id = make_job(client)["id"]
        worker = threading.Thread(target=run_job, args=(service, job_id, 110))
        worker.start()
        seen: list[Line] = []
        cuts = 0
        while not seen or seen[-1].event != "end":
            last_id = str(seen[-1].id) if seen else "0"
            seen += stream(client, job_id, at_most=1 + cuts % 3, **{"Last-Event-ID": last_id})
            cuts += 1
        worker.join()

        events = client.get(f"/v1/jobs/{job_id}/events").json()["events"]

    assert cuts >= 50
    assert [line.data for line in seen[:-1]] == events


def test_a_stream_follows_a_job_to_its_end(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]
        change = threading.Timer(0.3, run_job, (service, job_id, 2))
        change.start()

        lines = stream(client, job_id)

        change.join()
    assert lines[0].data["data"]["state"] == "submitted"
    assert lines[-1].event == "end"


def test_a_silent_stream_is_kept_alive(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.events.PING_SECONDS", 0.05)
    job_id = make_job(client)["id"]
    headers = {"Accept": "text/event-stream"}

    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        pings = (line for line in response.iter_lines() if line == ": ping")
        assert next(pings) == next(pings)


def test_a_stream_of_a_job_that_is_deleted_ends(service: Service) -> None:
    with service.client() as client:
        job_id = make_job(client)["id"]

        def remove() -> None:
            with service.client() as other:
                other.post(f"/v1/jobs/{job_id}/cancel")
                other.delete(f"/v1/jobs/{job_id}")

        change = threading.Timer(0.3, remove)
        change.start()
        lines = stream(client, job_id)
        change.join()

    assert lines[-1].event == "end"
    assert lines[-1].data["state"] in ("cancelled", "deleted")


@pytest.mark.parametrize("scope", ["read", "jobs:read"])
def test_a_stream_lives_as_long_as_its_key(service: Service, monkeypatch: pytest.MonkeyPatch, scope: str) -> None:
    """It outlasts many looks at the key, and hears of what comes after them; the key taken back, it stops."""
    monkeypatch.setattr("app.jobs.events.KEY_SECONDS", 0.01)
    with service.client() as admin:
        job_id = make_job(admin)["id"]
        made = admin.post("/v1/keys", json={"name": "guest", "scopes": [scope]}).json()
        later = threading.Timer(0.6, lambda: admin.post(f"/v1/jobs/{job_id}/pause"))
        with service.client(made["key"]) as guest:
            later.start()
            lines = follow(guest, job_id)
            seen = [next(lines).event, next(lines).data["data"]["state"]]
            later.join()
            admin.delete(f"/v1/keys/{made['id']}")
            rest = list(lines)

    assert (seen, rest) == (["job.state", "paused"], [])


@pytest.mark.parametrize("last_id", ["x", "-1", "1" * 12])
def test_an_id_that_is_none_is_refused(client: httpx2.Client, last_id: str) -> None:
    job_id = make_job(client)["id"]

    response = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last_id})

    assert_problem(response, 422, "validation-failed", "Last-Event-ID")


def test_events_of_an_unknown_job_are_a_problem_and_no_stream(client: httpx2.Client) -> None:
    response = client.get("/v1/jobs/job_0/events", headers={"Accept": "text/event-stream"})

    assert_problem(response, 404, "not-found")
